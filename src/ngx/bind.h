#pragma once

#include <cassert>
#include <new>

#include "ngx/nginx.h"

namespace await::ngx {

/// Associates an object with a request, for nginx's read and write handlers, which get the request only.
/// bind() stores a cleanup in the pool of the request that refers to `object`, which must live as long as the
/// request. Module contexts cannot be used, because internal redirects clear them. Subrequests share the pool
/// of their main request, so the binding also stores its request.
template <class T>
struct Binding {
  ngx_http_request_t *request;
  T *object;
  static void mark(void *) {}
};

template <class T>
void bind(ngx_http_request_t *r, T *object) {
  ngx_pool_cleanup_t *note = ngx_pool_cleanup_add(r->pool, sizeof(Binding<T>));
  if (note == nullptr)
    throw std::bad_alloc();
  *static_cast<Binding<T> *>(note->data) = {r, object};
  note->handler = Binding<T>::mark;
}

/// The object that was bound last; null if there is none.
template <class T>
T *bound(ngx_http_request_t *r) {
  for (ngx_pool_cleanup_t *note = r->pool->cleanup; note != nullptr; note = note->next) {
    if (note->handler != Binding<T>::mark)
      continue;
    auto *binding = static_cast<Binding<T> *>(note->data);
    if (binding->request == r)
      return binding->object;
  }
  return nullptr;
}

/// The same for the handlers that an object sets for itself, which has always bound itself before.
template <class T>
T *the_bound(ngx_http_request_t *r) {
  T *object = bound<T>(r);
  assert(object != nullptr);
  return object;
}

}  // namespace await::ngx
