#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ngx/nginx.h"
#include "wire/problem.h"

namespace await::http {

/// Adds a response header. `name` is a literal, `value` is copied.
void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value);

/// Sends a whole answer. What it returns goes to ngx_http_finalize_request. HEAD gets no body.
ngx_int_t send(ngx_http_request_t *r, int status, std::string_view content_type, std::string_view body);
ngx_int_t send_empty(ngx_http_request_t *r, int status);

/// Answers with a problem, or lets the location's error_page do it (where await_problem finds the
/// problem again). `no-store` always.
ngx_int_t send_problem(ngx_http_request_t *r, const wire::Problem &problem);
ngx_int_t send_problem(ngx_http_request_t *r, int status, std::string_view detail);
/// With a Retry-After of a second or so.
ngx_int_t send_unavailable(ngx_http_request_t *r, std::string_view detail);
/// The one table that turns Code into HTTP.
ngx_int_t send_error(ngx_http_request_t *r, const Error &error);

/// A problem's body, for await_problem and for failed jobs.
ngx_int_t send_problem_body(ngx_http_request_t *r, int status, std::string_view body);

}  // namespace await::http
