#include "pg/decode_jobs.h"

namespace await::pg {

using core::Job;
using core::JobResult;

JobResult decode_result(const Rows &rows, int row, int status, int attempt) {
  JobResult result;
  result.status = static_cast<int>(rows.number(row, status));
  result.attempt = attempt;
  result.type = rows.text(row, status + 1);
  result.name = rows.maybe_text(row, status + 2);
  result.size = rows.number(row, status + 3);
  return result;
}

Job decode_job(const Rows &rows, int row, int id) {
  Job job;
  job.id = rows.uuid(row, id);
  job.queue = rows.text(row, id + 1);
  job.owner = rows.maybe_text(row, id + 2);
  job.state = core::parse_state(rows.bytes(row, id + 3)).value_or(core::State::pending);
  job.seq = static_cast<int>(rows.number(row, id + 4));
  job.attempt = static_cast<int>(rows.number(row, id + 5));
  job.correlation_id = rows.maybe_text(row, id + 6);
  job.batch = rows.maybe_text(row, id + 7);
  job.phase = rows.maybe_text(row, id + 8);
  job.retry_of = rows.maybe_text(row, id + 9);
  job.params = rows.maybe_text(row, id + 10);
  job.progress = rows.maybe_text(row, id + 11);
  job.created_at = rows.time_ms(row, id + 12);
  job.updated_at = rows.time_ms(row, id + 13);
  (job.state == core::State::pending ? job.waiting : job.error) = rows.maybe_text(row, id + 14);
  if (job.state == core::State::completed) {
    job.result = decode_result(rows, row, id + 15, job.attempt);
    job.result->inlined = rows.boolean(row, id + 19);
    if (!rows.null(row, id + 20))
      job.result->body = Bytes(rows.bytes(row, id + 20));
  }
  return job;
}

std::vector<Job> decode_jobs(const Rows &rows) {
  std::vector<Job> out;
  for (int row = 0; row < rows.count(); ++row)
    out.push_back(decode_job(rows, row, 0));
  return out;
}

core::Batch decode_batch(const Rows &rows, int row, int id) {
  core::Batch batch;
  batch.id = rows.uuid(row, id);
  batch.owner = rows.maybe_text(row, id + 1);
  batch.state = core::parse_state(rows.bytes(row, id + 2)).value_or(core::State::pending);
  batch.seq = static_cast<int>(rows.number(row, id + 3));
  batch.correlation_id = rows.maybe_text(row, id + 4);
  batch.phases = rows.maybe_text(row, id + 5);
  batch.totals = rows.text(row, id + 6);
  batch.created_at = rows.time_ms(row, id + 7);
  batch.updated_at = rows.time_ms(row, id + 8);
  return batch;
}

core::Submitted decode_full(const Rows &rows, int row, std::string_view word, int retry_ms) {
  core::Submitted out{};
  out.full = word == "owner" ? core::Full::owner : core::Full::queue;
  out.retry_ms = rows.number(row, retry_ms);
  return out;
}

}  // namespace await::pg
