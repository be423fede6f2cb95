#pragma once

#include <cstdint>
#include <string>

#include "core/job.h"
#include "http/exchange/request.h"
#include "ngx/nginx.h"
#include "wire/format.h"

namespace await::http {

/// The JSON document of a job, with at most await_value_max of its result.
/// @param timeline  the database's, for the cursor
/// @param standing  null: it was not asked for
/// @param format  null: as in docs/http.md
std::string job_document(ngx_http_request_t *r, std::uint32_t timeline, const core::Job &job,
                         const wire::Links &links, const wire::Format *format,
                         const core::Standing *standing = nullptr);
/// Adds Cache-Control, and Retry-After while a job or batch in this state has not ended.
void add_state_headers(ngx_http_request_t *r, core::State state);

}  // namespace await::http
