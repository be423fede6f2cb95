#pragma once

#include "ngx/nginx.h"

namespace await::http {

// While nginx reads its configuration it may block, as its own proxy_pass does to resolve a name. Later it
// may not, and libpq's own lookup would block; so names are resolved now, once.

/// Parses and checks `await_postgres`, and resolves the names in it.
/// @return an error text, or null with `out` filled
const char *resolve_postgres(ngx_conf_t *cf, const ngx_str_t &conninfo, ngx_str_t *out);
/// The same for one URL of `await_redis`.
const char *resolve_redis(ngx_conf_t *cf, const ngx_str_t &url, ngx_str_t *out);

}  // namespace await::http
