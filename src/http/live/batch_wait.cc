#include "http/live/batch_wait.h"

#include "base/text.h"
#include "core/cursor.h"
#include "http/exchange/respond.h"
#include "http/runtime/runtime.h"
#include "wire/batch_document.h"
#include "wire/idempotency.h"

namespace await::http {

BatchWait::BatchWait(ngx_http_request_t *r, Runtime &runtime, JobsPage page, Registration registration)
    : JobWait(r, runtime, core::ResultDetail::none, registration), page_(page) {
  read_uncached();  // a batch's document has more than its row
}

/// The row of the batch was read, and is enough: reads what the document has beyond it.
void BatchWait::answer(const core::Job &job, bool timed_out) {
  if (reading_)
    return;  // a hint came meanwhile; what is being read is newer
  if (!prepare(job))
    return;
  JobWait::leave();
  reading_ = true;
  timed_out_ = timed_out;
  reads_.set(1);
  core::Batches &batches = runtime_.backends().batches();
  batches.batch(job.id, batch_reply_);
  batches.jobs_of(job.id, page_.after, page_.limit + 1, jobs_reply_);
}

void BatchWait::on_batch(Result<std::optional<core::Batch>> batch) {
  if (!batch)
    refuse(batch.error());
  else if (!*batch)
    refuse({Code::not_found, core::absence(core::Kind::batch)});  // it was purged a moment ago
  else
    batch_ = std::move(*batch);
}

/// The second of the two: replies come in the order of the calls.
void BatchWait::on_jobs(Result<std::vector<core::Job>> jobs) {
  reads_.set(0);
  if (!jobs) {
    refuse(jobs.error());
    return;
  }
  jobs_ = std::move(*jobs);
  answer_batch(*batch_, timed_out_);
}

std::string BatchWait::next_cursor(const core::Batch &batch) const {
  auto limit = static_cast<std::size_t>(page_.limit);
  return jobs_.size() > limit ? wire::encode_jobs_cursor(batch.id, jobs_[limit - 1].id) : std::string();
}

std::string BatchWait::document(const core::Batch &batch, const wire::BatchLinks &links) {
  const LocationConf &location = location_conf(r_);
  std::uint32_t timeline = runtime_.backends().timeline();
  std::string jobs;
  for (std::size_t i = 0; i < jobs_.size() && i < static_cast<std::size_t>(page_.limit); ++i) {
    const core::Job &job = jobs_[i];
    jobs += (jobs.empty() ? "" : ",") +
            wire::encode_job(job, links_of_listed(r_, job.id), core::encode_cursor(timeline, job.id, job.seq),
                             static_cast<std::int64_t>(location.value_max), problem_base(r_));
  }
  std::string text = wire::encode_batch(
      batch, jobs, links, core::encode_cursor(timeline, batch.id, batch.seq), next_cursor(batch));
  return location.batch_document != nullptr ? location.batch_document->apply(text) : text;
}

void BatchWait::leave() {
  batch_reply_.unlink();
  jobs_reply_.unlink();
  reads_.set(0);
  JobWait::leave();
}

std::string batch_etag(const core::Batch &batch, std::string_view document) {
  constexpr std::size_t kDigest = 9;  // bytes, 12 characters
  wire::Fingerprint digest;
  digest.body(document);
  return "\"" + std::to_string(batch.seq) + "-" +
         base64url(std::string_view(digest.finish({})).substr(0, kDigest)) + "\"";
}

}  // namespace await::http
