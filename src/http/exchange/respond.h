#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ngx/answer.h"
#include "ngx/nginx.h"
#include "wire/problem.h"

namespace await::http {

using ngx::Answer;
using ngx::OrAnswer;
using ngx::Refusal;

/// Adds a response header, and sets nginx's own field for it, so that `expires`, `add_header` and filters
/// see it. `name` is a literal, `value` is copied.
void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value);

/// The id for problems, which send_head() sends in X-Request-Id. Empty if await_request_id is off.
std::string_view sent_request_id(ngx_http_request_t *r);

/// Sends the header of an answer whose status, type and length are set in r->headers_out. Every response
/// of the module begins here: the rest of the request's body is discarded, or the connection is closed after
/// the response, so that the next request on it is read from where it begins.
/// @return the result of ngx_http_send_header(); a body may follow only if it is NGX_OK and header_only is
/// not set
ngx_int_t send_head(ngx_http_request_t *r);
/// Sends a complete response. HEAD gets no body.
Answer send(ngx_http_request_t *r, int status, std::string_view content_type, std::string_view body);
Answer send_empty(ngx_http_request_t *r, int status);

/// Sends a problem, or passes it to the error_page of the location, where await_problem sends it. Always with
/// `no-store`.
Answer send_problem(ngx_http_request_t *r, const wire::Problem &problem);
Answer send_problem(ngx_http_request_t *r, int status, std::string_view detail);
/// The same if the reason has been logged already.
Answer send_logged_problem(ngx_http_request_t *r, int status, std::string_view detail);
/// With a Retry-After of a second or so.
Answer send_unavailable(ngx_http_request_t *r, std::string_view detail);
/// For requests in progress when nginx shuts down: 503, or nothing if a response has begun.
Answer send_restarting(ngx_http_request_t *r);
/// The one table that maps Code to HTTP. The message of PostgreSQL is logged, and not sent to the client.
Answer send_error(ngx_http_request_t *r, const Error &error);

/// A problem's body, for await_problem and for failed jobs.
Answer send_problem_body(ngx_http_request_t *r, int status, std::string_view body);

/// Whether the location has an error_page for this status that nginx would use now, and whose location may
/// take the request's body, as a proxy does.
bool page_takes_body(ngx_http_request_t *r, int status);
/// Whether that is so for any status, and the body is larger than what is kept in any case (ngx/body.h).
bool body_may_go_on(ngx_http_request_t *r);

}  // namespace await::http
