#pragma once

#include "core/job.h"
#include "http/conf/proxy_options.h"
#include "http/exchange/respond.h"

namespace await::http {

/// Records the request in the params of the job, as await_proxy says, so that a worker can play it to the
/// back end. An answer if something in it cannot be recorded.
Refusal record_request(ngx_http_request_t *r, const ProxyOptions &options, core::NewJob &job);

/// The status for a job that has failed: that of the back end, if it is one by which the client's own
/// request was refused; else 424.
/// @param error  of the job, as JSON
ngx_uint_t failed_status(const std::optional<std::string> &error);

}  // namespace await::http
