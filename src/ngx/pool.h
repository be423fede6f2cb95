#pragma once

#include <new>
#include <utility>

#include "ngx/nginx.h"

namespace await::ngx {

/// Creates a T in the pool, which is destroyed with the pool. Throws std::bad_alloc.
template <class T, class... Args>
T *make(ngx_pool_t *pool, Args &&...args) {
  static_assert(alignof(T) <= 16);
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(pool, sizeof(T) + alignof(T));
  if (cleanup == nullptr)
    throw std::bad_alloc();
  cleanup->data = ngx_align_ptr(cleanup->data, alignof(T));
  T *object = new (cleanup->data) T(std::forward<Args>(args)...);
  cleanup->handler = [](void *data) { static_cast<T *>(data)->~T(); };
  return object;
}

}  // namespace await::ngx
