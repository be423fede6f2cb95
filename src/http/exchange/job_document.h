#pragma once

#include <string_view>

#include "core/job.h"
#include "http/exchange/request.h"
#include "ngx/nginx.h"
#include "wire/format.h"

namespace await::http {

/// The job document in this location's size and with this request's cursor.
/// @param format  null: as docs/http.md has it
std::string document(ngx_http_request_t *r, const core::Job &job, const wire::Links &links,
                     const wire::Format *format);
/// Cache-Control, and Retry-After while the job has not ended.
void add_job_headers(ngx_http_request_t *r, const core::Job &job);

}  // namespace await::http
