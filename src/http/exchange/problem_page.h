#pragma once

#include "ngx/nginx.h"

namespace await::http {

/// The content handler of await_problem.
ngx_int_t problem_handler(ngx_http_request_t *r);

}  // namespace await::http
