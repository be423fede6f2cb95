#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ngx/nginx.h"

namespace await::http {

// Conditions under which a request is to be done at all (RFC 9110 §13). Those that only spare a response its
// body, If-None-Match on GET and If-Range, are asked where that is made.

/// Whether the request has any. A subrequest has none: they are the main request's.
bool has_conditions(ngx_http_request_t *r);
/// Whether they hold.
/// @param etags  of all representations that there are now; none: they are true of nothing
/// @param modified_ms  Unix time in milliseconds; 0: not known, so that If-Unmodified-Since does not count
bool conditions_hold(ngx_http_request_t *r, std::span<const std::string> etags, std::int64_t modified_ms);

}  // namespace await::http
