#include "pg/batch_store.h"

#include <algorithm>

#include "pg/call.h"
#include "pg/decode_jobs.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

using core::Added;

Result<Done> decode_done(const Rows &, std::size_t) { return Done{}; }

core::Submitted submitted_at(const Rows &rows, int column) {
  return {rows.uuid(0, column), rows.time_ms(0, column + 1), rows.boolean(0, column + 2)};
}

Result<core::Submitted> decode_batch_submitted(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.edge_submit_batch returned no batch"};
  return rows.null(0, 3) ? submitted_at(rows, 0) : decode_full(rows, 0, rows.bytes(0, 3), 4);
}

Result<Added> decode_added(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.edge_add_to_batch returned no outcome"};
  std::string_view word = rows.bytes(0, 0);
  Added out{Added::Outcome::no_batch, submitted_at(rows, 1)};
  if (word == "added")
    out.outcome = Added::Outcome::added;
  else if (word == "ended")
    out.outcome = Added::Outcome::ended;
  else if (word == "no phase")
    out.outcome = Added::Outcome::no_phase;
  else if (word == "queue" || word == "owner")
    out = {Added::Outcome::full, decode_full(rows, 0, word, 4)};
  return out;
}

Result<std::optional<core::Batch>> decode_known(const Rows &rows, std::size_t) {
  return rows.count() > 0 ? std::optional(decode_batch(rows, 0, 0)) : std::nullopt;
}

Result<std::vector<core::Job>> decode_page(const Rows &rows, std::size_t) {
  std::vector<core::Job> jobs = decode_jobs(rows);
  std::sort(jobs.begin(), jobs.end(), [](auto &one, auto &other) { return one.id < other.id; });
  return jobs;
}

void add_key(Params &out, const std::optional<core::IdempotencyKey> &key) {
  if (key)
    out.text(key->key).bytea(key->fingerprint).int8(key->keep_ms);
  else
    out.null(kText).null(kBytea).null(kInt8);
}

}  // namespace

void BatchStore::stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs,
                       core::Reply<Done> &reply) {
  ArrayWriter ids(kUuid), queues(kText), phases(kText), priorities(kInt2), types(kText), names(kText),
      params(kText), payloads(kBytea), sizes(kInt8), leases(kInt8), delays(kInt8), deadlines(kInt8),
      attempts(kInt2);
  for (const core::NewJob &job : jobs) {
    ids.uuid(job.id);
    queues.bytes(job.queue);
    phases.maybe(job.phase);
    priorities.int2(job.priority);
    types.bytes(job.content_type);
    names.maybe(job.file_name);
    params.maybe(job.params);
    payloads.maybe(job.payload);
    sizes.int8(job.payload_size);
    leases.maybe_int8(job.lease_ms);
    delays.maybe_int8(job.delay_ms);
    deadlines.maybe_int8(job.deadline_ms);
    job.max_attempts ? attempts.int2(*job.max_attempts) : attempts.null();
  }
  Params all;
  all.uuid(batch).int4(first);
  all.array(kUuidArray, std::move(ids)).array(kTextArray, std::move(queues));
  all.array(kTextArray, std::move(phases)).array(kInt2Array, std::move(priorities));
  all.array(kTextArray, std::move(types)).array(kTextArray, std::move(names));
  all.array(kTextArray, std::move(params)).array(kByteaArray, std::move(payloads));
  all.array(kInt8Array, std::move(sizes)).array(kInt8Array, std::move(leases));
  all.array(kInt8Array, std::move(delays)).array(kInt8Array, std::move(deadlines));
  all.array(kInt2Array, std::move(attempts));
  bulk_.send(std::make_unique<Call<Done>>(statements::kStage, std::move(all), reply, decode_done));
}

void BatchStore::submit(const core::NewBatch &batch, core::Reply<core::Submitted> &reply) {
  Params all;
  all.uuid(batch.id).int4(batch.jobs);
  all.maybe_text(batch.owner).maybe_text(batch.correlation_id).maybe_text(batch.trace);
  ArrayWriter phases(kText);
  for (const std::string &phase : batch.phases)
    phases.bytes(phase);
  batch.phases.empty() ? all.null(kTextArray) : all.array(kTextArray, std::move(phases));
  all.maybe_text(batch.on_ready);
  all.maybe_int8(batch.deadline_ms);
  all.text(batch.scope);
  add_key(all, batch.idempotency);
  all.maybe_int4(batch.limits.max_pending).maybe_int4(batch.limits.max_pending_per_owner);
  all.maybe_text(batch.webhook);
  bulk_.send(std::make_unique<Call<core::Submitted>>(statements::kSubmitBatch, std::move(all), reply,
                                                     decode_batch_submitted));
}

void BatchStore::unstage(const Uuid &batch) {
  Params params;
  params.uuid(batch);
  bulk_.send(std::make_unique<Send>(statements::kUnstage, std::move(params)));
}

void BatchStore::add(const Uuid &batch, const core::NewJob &job, core::Reply<core::Added> &reply) {
  Params all;
  all.uuid(batch).uuid(job.id).text(job.queue).maybe_text(job.phase).int2(job.priority);
  all.maybe_text(job.owner).maybe_text(job.correlation_id).maybe_text(job.trace);
  all.text(job.content_type).maybe_text(job.file_name).maybe_text(job.params);
  job.payload ? all.bytea(*job.payload) : all.null(kBytea);
  all.int8(job.payload_size);
  all.maybe_int8(job.lease_ms);
  job.max_attempts ? all.int2(*job.max_attempts) : all.null(kInt2);
  all.maybe_int8(job.delay_ms);
  all.maybe_int8(job.deadline_ms);
  add_key(all, job.idempotency);
  all.maybe_int4(job.limits.max_pending).maybe_int4(job.limits.max_pending_per_owner);
  all.maybe_text(job.webhook);
  write_.send(
      std::make_unique<Call<core::Added>>(statements::kAddToBatch, std::move(all), reply, decode_added));
}

void BatchStore::batch(const Uuid &id, core::Reply<std::optional<core::Batch>> &reply) {
  ArrayWriter ids(kUuid);
  ids.uuid(id);
  Params params;
  params.array(kUuidArray, std::move(ids));
  read_.send(std::make_unique<Call<std::optional<core::Batch>>>(statements::kBatches, std::move(params),
                                                                reply, decode_known));
}

void BatchStore::jobs_of(const Uuid &batch, const Uuid &after, int limit,
                         core::Reply<std::vector<core::Job>> &reply) {
  Params params;
  params.uuid(batch).uuid(after).int4(limit).int4(value_max_);
  read_.send(std::make_unique<Call<std::vector<core::Job>>>(statements::kBatchJobs, std::move(params), reply,
                                                            decode_page));
}

}  // namespace await::pg
