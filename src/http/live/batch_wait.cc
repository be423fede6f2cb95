#include "http/live/batch_wait.h"

#include "base/text.h"
#include "core/cursor.h"
#include "http/exchange/conditions.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/runtime/runtime.h"
#include "wire/batch_document.h"
#include "wire/idempotency.h"

namespace await::http {

BatchWait::BatchWait(ngx_http_request_t *r, Runtime &runtime, JobsPage page, Registration registration)
    : JobWait(r, runtime, core::ResultDetail::none, registration), page_(page) {
  read_uncached();  // a batch's document has more than its row
  document_.cache = runtime.cache(location_conf(r).cache);
  document_.open_ms = static_cast<std::int64_t>(location_conf(r).cache_open);
}

Answer BatchWait::look(const Uuid &id, std::int64_t wait_ms) {
  document_.query = {id, page_.after, page_.limit};
  if (has_conditions(r_))
    read_newest();
  auto found = document_.cache != nullptr && document_.from_cache
                   ? document_.cache->find(document_.query, document_.open_ms)
                   : std::nullopt;
  if (found && may_answer(found->batch, wait_ms)) {
    auto owner = owner_of(r_);
    if (owner && found->batch.owner != *owner)
      return decline(send_problem(r_, 404, core::absence(core::Kind::batch)));
    if (auto answer = answer_with(*found))
      return decline(*answer);
    read_newest();
  }
  if (wait_ms > 0)
    return watch(id, wait_ms);
  reading_ = true;  // what is in the row is in the document, too
  reads_.set(1);
  runtime_.batch_reads().add(document_);
  return hold();
}

/// Whether the request is not to be held with this state of the batch.
bool BatchWait::may_answer(const core::Batch &batch, std::int64_t wait_ms) const {
  core::Job row;
  row.id = batch.id;
  row.state = batch.state;
  row.seq = batch.seq;
  return wait_ms == 0 || enough(row);
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
  document_.query = {job.id, page_.after, page_.limit};
  document_.least_seq = job.seq;
  runtime_.batch_reads().add(document_);
}

void BatchWait::on_document(Result<const core::BatchDocument *> document) {
  if (!document || *document == nullptr) {
    reads_.set(0);
    // null: it was purged a moment ago
    refuse(document ? Error{Code::not_found, core::absence(core::Kind::batch)} : document.error());
    return;
  }
  auto owner = owner_of(r_);
  if (owner && (*document)->batch.owner != *owner) {
    reads_.set(0);
    refuse({Code::not_found, core::absence(core::Kind::batch)});
    return;
  }
  if (auto answer = answer_with(**document)) {
    reads_.set(0);
    finish(*answer);
    return;
  }
  read_newest();
  runtime_.batch_reads().add(document_);
}

std::optional<Answer> BatchWait::answer_with(const core::BatchDocument &document) {
  jobs_ = document.jobs;
  request_info(r_).state = core::state_name(document.batch.state);
  auto answer = answer_batch(document.batch, timed_out_);
  jobs_ = {};
  return answer;
}

void BatchWait::note_cache_status() {
  if (document_.cache == nullptr)
    return;
  request_info(r_).cache = is_from_cache() ? "HIT" : "MISS";
  runtime_.counters().count(is_from_cache() ? Counter::batch_hits : Counter::batch_misses);
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
  document_.unlink();
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
