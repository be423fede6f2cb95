#pragma once

#include <exception>

#include "ngx/nginx.h"

namespace await::ngx {

/// Runs `body` in a callback of C code. An exception is logged in error.log, and `otherwise` is returned.
template <class Body, class Value>
Value guarded(ngx_log_t *log, Value otherwise, Body body) noexcept {
  try {
    return body();
  } catch (const std::exception &error) {
    ngx_log_error(NGX_LOG_CRIT, log, 0, "await: uncaught exception: %s", error.what());
  } catch (...) {
    ngx_log_error(NGX_LOG_CRIT, log, 0, "await: uncaught exception of an unknown type");
  }
  return otherwise;
}

template <class Body>
void guarded(ngx_log_t *log, Body body) noexcept {
  guarded(log, 0, [&] {
    body();
    return 0;
  });
}

}  // namespace await::ngx
