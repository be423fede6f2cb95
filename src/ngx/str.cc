#include "ngx/str.h"

#include <cstring>
#include <new>

namespace await::ngx {

ngx_str_t copy(ngx_pool_t *pool, std::string_view text) {
  auto *data = static_cast<u_char *>(ngx_pnalloc(pool, text.empty() ? 1 : text.size()));
  if (data == nullptr)
    throw std::bad_alloc();
  std::memcpy(data, text.data(), text.size());
  return {text.size(), data};
}

std::string_view evaluate(ngx_http_request_t *r, ngx_http_complex_value_t *value) {
  ngx_str_t out = ngx_null_string;
  if (value == nullptr || ngx_http_complex_value(r, value, &out) != NGX_OK)
    return {};
  return view(out);
}

}  // namespace await::ngx
