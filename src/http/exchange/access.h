#pragma once

#include <string>
#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

/// Adds a handler to the access phase. Its challenges are removed from the response if another rule lets the
/// client in (`satisfy any`).
ngx_int_t add_access_handler(ngx_conf_t *cf, ngx_http_handler_pt handler);
/// Adds a handler to a phase. Call in the postconfiguration, if the module is used somewhere.
ngx_int_t add_phase_handler(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler);

/// Answers 401 with this WWW-Authenticate. An access handler returns the result. The response is a problem
/// document, unless nginx decides about the response: for error_page, `satisfy any`, and `auth_delay`.
/// @param why  for error.log, more than the client gets; null: `detail` is logged
ngx_int_t challenge(ngx_http_request_t *r, const std::string &how, std::string_view detail,
                    const char *why = nullptr);
/// The same with 503 and Retry-After.
ngx_int_t deny_unavailable(ngx_http_request_t *r, std::string_view detail);

/// Masks the value of an argument in the request, so that neither logs nor upstreams get it.
void blank_argument(ngx_http_request_t *r, std::string_view value);

/// The client is known: evaluates $await_user and the variables of the claims now, because a parked request
/// keeps the values of variables only.
void settle_identity(ngx_http_request_t *r);

/// The value of $await_safe_request and $await_safe_request_uri: the text with the values of the arguments
/// `ticket` and `token` masked.
std::string starred(std::string_view text);

}  // namespace await::http
