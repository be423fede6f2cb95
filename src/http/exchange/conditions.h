#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ngx/nginx.h"

namespace await::http {

// Conditions under which a request is to be done at all (RFC 9110 §13). Those that only spare a response its
// body, If-None-Match on GET and If-Range, are asked where that is made.

/// Whether the request has conditions. A subrequest has none: they apply to the main request.
bool has_conditions(ngx_http_request_t *r);
/// Whether the conditions hold.
/// @param etags  of all current representations; empty: there is no representation
/// @param modified_ms  Unix time in milliseconds; 0: unknown, If-Unmodified-Since is ignored
bool conditions_hold(ngx_http_request_t *r, std::span<const std::string> etags, std::int64_t modified_ms);

}  // namespace await::http
