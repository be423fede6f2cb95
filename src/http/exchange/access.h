#pragma once

#include <string>
#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

/// Adds a handler to the access phase, and clears its challenges from the answers to those whom another rule
/// let in
/// (`satisfy any`).
ngx_int_t add_access_handler(ngx_conf_t *cf, ngx_http_handler_pt handler);
/// Adds a handler to a phase; for a postconfiguration of what is used somewhere.
ngx_int_t add_phase_handler(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler);

/// 401 with this WWW-Authenticate, as an access handler returns it. A problem document, save where nginx has
/// to have its say first: an error_page, `satisfy any`, whose other rules may let the request in, and
/// `auth_delay`.
/// @param why  for error.log, more than a client is told; null: `detail` does
ngx_int_t challenge(ngx_http_request_t *r, const std::string &how, std::string_view detail,
                    const char *why = nullptr);
/// 503 likewise.
ngx_int_t deny_unavailable(ngx_http_request_t *r, std::string_view detail);

/// Neither logs nor upstreams are to see it: its bytes become stars where it is an argument's value.
void blank_argument(ngx_http_request_t *r, std::string_view value);

/// Who asks is known: takes $await_user and the claims' variables now, for a parked request keeps what its
/// variables came to, and no more.
void settle_identity(ngx_http_request_t *r);

/// $await_safe_request and $await_safe_request_uri: as nginx's, but that what stands for a ticket or a token
/// is starred.
std::string starred(std::string_view text);

}  // namespace await::http
