#include "http/exchange/job_document.h"

#include "core/cursor.h"
#include "http/conf/conf.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"

namespace await::http {

std::string job_document(ngx_http_request_t *r, std::uint32_t timeline, const core::Job &job,
                         const wire::Links &links, const wire::Format *format,
                         const core::Standing *standing) {
  std::string text =
      wire::encode_job(job, links, core::encode_cursor(timeline, job.id, job.seq),
                       static_cast<std::int64_t>(location_conf(r).value_max), problem_base(r), standing);
  return format != nullptr ? format->apply(text) : text;
}

void add_state_headers(ngx_http_request_t *r, core::State state) {
  if (core::is_ending(state)) {
    add_header(r, "Cache-Control", "private, no-cache");
    return;
  }
  add_header(r, "Cache-Control", "no-store");
  add_retry_after(r);
}

}  // namespace await::http
