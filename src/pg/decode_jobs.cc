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

std::vector<Job> decode_jobs(const Rows &rows) {
  std::vector<Job> out;
  for (int row = 0; row < rows.count(); ++row) {
    Job job;
    job.id = rows.uuid(row, 0);
    job.queue = rows.text(row, 1);
    job.owner = rows.maybe_text(row, 2);
    job.state = core::parse_state(rows.bytes(row, 3)).value_or(core::State::pending);
    job.seq = static_cast<int>(rows.number(row, 4));
    job.attempt = static_cast<int>(rows.number(row, 5));
    job.correlation_id = rows.maybe_text(row, 6);
    job.batch = rows.maybe_text(row, 7);
    job.phase = rows.maybe_text(row, 8);
    job.retry_of = rows.maybe_text(row, 9);
    job.params = rows.maybe_text(row, 10);
    job.progress = rows.maybe_text(row, 11);
    job.created_at = rows.time_ms(row, 12);
    job.updated_at = rows.time_ms(row, 13);
    (job.state == core::State::pending ? job.waiting : job.error) = rows.maybe_text(row, 14);
    if (job.state == core::State::completed) {
      job.result = decode_result(rows, row, 15, job.attempt);
      job.result->inlined = rows.boolean(row, 19);
      if (!rows.null(row, 20))
        job.result->body = Bytes(rows.bytes(row, 20));
    }
    out.push_back(std::move(job));
  }
  return out;
}

}  // namespace await::pg
