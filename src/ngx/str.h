#pragma once

#include <string_view>

#include "ngx/nginx.h"

namespace await::ngx {

inline std::string_view view(const ngx_str_t &text) {
  return {reinterpret_cast<const char *>(text.data), text.len};
}

/// Refers to `text` without copying, for literals and text that lives long enough.
inline ngx_str_t borrow(std::string_view text) {
  return {text.size(), reinterpret_cast<u_char *>(const_cast<char *>(text.data()))};
}

/// A copy in `pool`. Throws std::bad_alloc.
ngx_str_t copy(ngx_pool_t *pool, std::string_view text);

/// Evaluates a directive with variables for this request. Empty on failure.
std::string_view evaluate(ngx_http_request_t *r, ngx_http_complex_value_t *value);

}  // namespace await::ngx
