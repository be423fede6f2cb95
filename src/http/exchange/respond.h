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

/// Adds a response header, also where nginx looks for it: what `expires`, `add_header` and filters do goes
/// with it. `name` is a literal, `value` is copied.
void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value);

/// Sends the header of an answer whose status, type and length are set in r->headers_out. Every answer of
/// ours begins here: what of the request's body was not read is passed over, or the connection is closed
/// behind the answer, so that the next request on it is read from where it begins.
/// @return what ngx_http_send_header() does; the body may follow only where that is NGX_OK and not
/// header_only
ngx_int_t send_head(ngx_http_request_t *r);
/// Sends a whole answer. HEAD gets no body.
Answer send(ngx_http_request_t *r, int status, std::string_view content_type, std::string_view body);
Answer send_empty(ngx_http_request_t *r, int status);

/// Answers with a problem, or lets the location's error_page do it (where await_problem finds the
/// problem again). `no-store` always.
Answer send_problem(ngx_http_request_t *r, const wire::Problem &problem);
Answer send_problem(ngx_http_request_t *r, int status, std::string_view detail);
/// The same where the reason stands in error.log already.
Answer send_logged_problem(ngx_http_request_t *r, int status, std::string_view detail);
/// With a Retry-After of a second or so.
Answer send_unavailable(ngx_http_request_t *r, std::string_view detail);
/// For what is still under way when nginx has to go: 503, or nothing more where an answer has begun.
Answer send_restarting(ngx_http_request_t *r);
/// The one table that turns Code into HTTP. What PostgreSQL said goes to error.log, and no further.
Answer send_error(ngx_http_request_t *r, const Error &error);

/// A problem's body, for await_problem and for failed jobs.
Answer send_problem_body(ngx_http_request_t *r, int status, std::string_view body);

/// Whether the location has an error_page for this status, which nginx would use now and which leads to a
/// location that may take the request's body, as a proxy does.
bool page_takes_body(ngx_http_request_t *r, int status);
/// Whether that is so of any status, and the body is larger than what is kept of it anyway (ngx/body.h).
bool body_may_go_on(ngx_http_request_t *r);

}  // namespace await::http
