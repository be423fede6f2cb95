#include "worker/client.h"

#include <algorithm>
#include <set>
#include <utility>

#include "pg/call.h"
#include "pg/maintenance.h"
#include "pg/statements.h"

namespace await::worker {
namespace {

/// Reduces a hint to `1 <job> <seq> <type>`, without job data.
std::string_view thin(std::string_view hint) {
  std::size_t end = 0;
  for (int words = 0; words < 4 && end != std::string_view::npos; ++words)
    end = hint.find(' ', end == 0 ? 0 : end + 1);
  return hint.substr(0, end);
}

namespace sql = pg::statements;

/// A statement whose result is passed to a function.
class Ask : public pg::Statement {
 public:
  Ask(const char *text, pg::Params params, std::function<void(Result<pg::Rows>)> then)
      : Statement(text, std::move(params)), then_(std::move(then)) {}
  void finish(Result<pg::Rows> rows) override { then_(std::move(rows)); }

 private:
  std::function<void(Result<pg::Rows>)> then_;
};

pg::Params job_params(const ClaimedJob &job) {
  pg::Params params;
  params.uuid(job.id).text(job.receipt);
  return params;
}

Lease lease_of(std::string_view word) {
  return word == "ok" ? Lease::held : word == "cancelled" ? Lease::cancelled : Lease::lost;
}

ClaimedJob decode_job(const pg::Rows &rows, int row) {
  ClaimedJob job;
  job.id = rows.uuid(row, 0);
  job.receipt = rows.text(row, 1);
  job.attempt = static_cast<int>(rows.number(row, 2));
  job.queue = rows.text(row, 3);
  job.payload = rows.maybe_text(row, 4);
  job.content_type = rows.text(row, 5);
  job.file_name = rows.maybe_text(row, 6);
  job.params = rows.maybe_text(row, 7);
  job.batch = rows.maybe_text(row, 8);
  job.phase = rows.maybe_text(row, 9);
  job.trace = rows.maybe_text(row, 10);
  job.payload_size = rows.number(row, 11);
  job.correlation_id = rows.maybe_text(row, 12);
  job.lease_ms = rows.number(row, 13);
  return job;
}

}  // namespace

Client::Client(io::Loop &loop, io::Log &log, io::Random &random, std::string conninfo,
               const std::vector<redis::Address> &redis)
    : loop_(loop),
      pg_(loop, log, random, {std::move(conninfo), "worker", 30'000}, this),
      bus_(loop, log, random, redis),
      notify_bus_(loop, log, random, pg_) {}

void Client::start() {
  pg_.start();
  bus_.start();
}

template <class T, class Decode>
void Client::call(const char *text, pg::Params params, Then<T> then, Decode decode) {
  pg_.send(
      std::make_unique<Ask>(text, std::move(params), [then = std::move(then), decode](Result<pg::Rows> rows) {
        if (rows)
          then(decode(*rows));
        else
          then(rows.error());
      }));
}

/// Calls an SQL function that returns true, or a value that is not null, if it has changed the job; or
/// several times, in one transaction.
void Client::change(const char *text, pg::Params params, const Uuid &id, Then<bool> then) {
  call<bool>(
      text, std::move(params),
      [this, id, then = std::move(then)](Result<bool> changed) {
        if (changed && *changed)
          hint(id);
        then(std::move(changed));
      },
      [](const pg::Rows &rows) {
        bool all = rows.count() > 0;
        for (int row = 0; row < rows.count(); ++row)
          all = all && !rows.null(row, 0) && rows.number(row, 0) != 0;
        return all;
      });
}

void Client::hint(const Uuid &id) {
  hints_.push_back(id);
  if (!flush_task_.linked())
    loop_.post(flush_task_);
}

/// Runs at the end of an iteration: stores all results that were completed in it, and publishes the hints.
void Client::flush() {
  if (completing_ == 0) {  // what is completed while others are stored follows them, all of it together
    std::vector<Completion> batch;
    for (Completion &completion : std::exchange(completions_, {})) {
      batch.push_back(std::move(completion));
      if (batch.size() == kBatch)
        complete_all(std::exchange(batch, {}));
    }
    if (!batch.empty())
      complete_all(std::move(batch));
  }
  if (hints_.empty())
    return;
  pg::ArrayWriter ids(pg::kUuid);
  for (const Uuid &id : std::exchange(hints_, {}))
    ids.uuid(id);
  pg::Params params;
  params.array(pg::kUuidArray, std::move(ids));
  pg_.send(std::make_unique<Ask>(sql::kHints, std::move(params), [this](Result<pg::Rows> rows) {
    for (int row = 0; rows && row < rows->count(); ++row)
      bus_.publish_raw(rows->bytes(row, 0), thin_hints_ ? thin(rows->bytes(row, 1)) : rows->bytes(row, 1));
  }));
}

void Client::complete_all(std::vector<Completion> batch) {
  pg::ArrayWriter ids(pg::kUuid), receipts(pg::kText), bodies(pg::kBytea), types(pg::kText),
      statuses(pg::kInt4), names(pg::kText);
  for (const Completion &completion : batch) {
    ids.uuid(completion.job.id);
    receipts.bytes(completion.job.receipt);
    bodies.bytes(completion.body);
    types.bytes(completion.content_type);
    statuses.int4(completion.status);
    names.maybe(completion.file_name);
  }
  pg::Params params;
  params.array(pg::kUuidArray, std::move(ids)).array(pg::kTextArray, std::move(receipts));
  params.array(pg::kByteaArray, std::move(bodies)).array(pg::kTextArray, std::move(types));
  params.array(pg::kInt4Array, std::move(statuses)).array(pg::kTextArray, std::move(names));
  auto sent = std::make_shared<std::vector<Completion>>(std::move(batch));
  ++completing_;
  pg_.send(std::make_unique<Ask>(sql::kCompleteMany, std::move(params), [this, sent](Result<pg::Rows> rows) {
    --completing_;
    if (!completions_.empty() && !flush_task_.linked())
      loop_.post(flush_task_);
    if (!rows && rows.error().code != Code::unavailable && sent->size() > 1) {
      for (Completion &one : *sent)  // one of them was rejected: send each alone
        complete_one(one.job, one.body, one.content_type, one.status, one.file_name, std::move(one.then));
      return;
    }
    std::set<Uuid> done;
    for (int row = 0; rows && row < rows->count(); ++row) {
      if (rows->boolean(row, 1))
        done.insert(rows->uuid(row, 0));
    }
    for (Completion &one : *sent) {
      if (done.contains(one.job.id))
        hint(one.job.id);
      one.then(rows ? Result<bool>(done.contains(one.job.id)) : Result<bool>(rows.error()));
    }
  }));
}

void Client::claim(const std::vector<std::string> &queues, const std::string &worker, int n,
                   std::optional<std::int64_t> lease_ms, Then<std::vector<ClaimedJob>> then) {
  pg::ArrayWriter names(pg::kText);
  for (const std::string &queue : queues)
    names.bytes(queue);
  pg::Params params;
  params.array(pg::kTextArray, std::move(names)).text(worker).int4(n);
  lease_ms ? params.int8(*lease_ms) : params.null(pg::kInt8);
  call<std::vector<ClaimedJob>>(
      sql::kClaim, std::move(params),
      [this, then = std::move(then)](Result<std::vector<ClaimedJob>> jobs) {
        if (jobs) {
          for (const ClaimedJob &job : *jobs)
            hint(job.id);
        }
        then(std::move(jobs));
      },
      [](const pg::Rows &rows) {
        std::vector<ClaimedJob> jobs;
        for (int row = 0; row < rows.count(); ++row)
          jobs.push_back(decode_job(rows, row));
        return jobs;
      });
}

void Client::heartbeat(const ClaimedJob &job, const std::optional<std::string> &progress, Then<Lease> then) {
  pg::Params params = job_params(job);
  params.maybe_text(progress);
  call<Lease>(
      sql::kHeartbeat, std::move(params),
      [this, id = job.id, told = progress.has_value(), then = std::move(then)](Result<Lease> lease) {
        if (told && lease && *lease == Lease::held)
          hint(id);
        then(std::move(lease));
      },
      [](const pg::Rows &rows) {
        return lease_of(rows.count() == 1 ? rows.bytes(0, 0) : std::string_view());
      });
}

void Client::heartbeats(const std::vector<const ClaimedJob *> &jobs,
                        Then<std::map<std::string, Lease>> then) {
  std::vector<const ClaimedJob *> ordered = jobs;  // by id, as all lock several jobs
  std::sort(ordered.begin(), ordered.end(), [](const auto *a, const auto *b) { return a->id < b->id; });
  pg::ArrayWriter ids(pg::kUuid), receipts(pg::kText);
  for (const ClaimedJob *job : ordered) {
    ids.uuid(job->id);
    receipts.bytes(job->receipt);
  }
  pg::Params params;
  params.array(pg::kUuidArray, std::move(ids)).array(pg::kTextArray, std::move(receipts));
  call<std::map<std::string, Lease>>(sql::kHeartbeats, std::move(params), std::move(then),
                                     [](const pg::Rows &rows) {
                                       std::map<std::string, Lease> leases;
                                       for (int row = 0; row < rows.count(); ++row)
                                         leases[rows.text(row, 0)] = lease_of(rows.bytes(row, 1));
                                       return leases;
                                     });
}

void Client::emit(const ClaimedJob &job, const std::vector<const Note *> &events, Then<bool> then) {
  pg::ArrayWriter types(pg::kText), data(pg::kText), ids(pg::kText);
  for (const Note *event : events) {
    types.maybe(event->type);
    data.maybe(event->data);
    ids.maybe(event->id);
  }
  pg::Params params = job_params(job);
  params.array(pg::kTextArray, std::move(types)).array(pg::kTextArray, std::move(data));
  params.array(pg::kTextArray, std::move(ids));
  change(sql::kEmit, std::move(params), job.id, std::move(then));
}

void Client::payload(const ClaimedJob &job, std::int64_t offset, int length,
                     Then<std::optional<std::string>> then) {
  pg::Params params = job_params(job);
  params.int8(offset).int4(length);
  call<std::optional<std::string>>(sql::kPayload, std::move(params), std::move(then),
                                   [](const pg::Rows &rows) { return rows.maybe_text(0, 0); });
}

void Client::append_result(const ClaimedJob &job, int n, const std::string &bytes, Then<bool> then) {
  pg::Params params = job_params(job);
  params.int4(n).bytea(bytes);
  call<bool>(sql::kAppend, std::move(params), std::move(then),
             [](const pg::Rows &rows) { return rows.count() == 1 && !rows.null(0, 0); });
}

void Client::complete(const ClaimedJob &job, const std::optional<std::string> &body,
                      const std::string &content_type, int status,
                      const std::optional<std::string> &file_name, Then<bool> then) {
  if (!body || body->size() > kInline) {
    complete_one(job, body, content_type, status, file_name, std::move(then));
    return;
  }
  completions_.push_back({job, *body, content_type, status, file_name, std::move(then)});
  completions_.back().job.payload.reset();
  if (!flush_task_.linked())
    loop_.post(flush_task_);
}

void Client::complete_one(const ClaimedJob &job, const std::optional<std::string> &body,
                          const std::string &content_type, int status,
                          const std::optional<std::string> &file_name, Then<bool> then) {
  pg::Params params = job_params(job);
  body ? params.bytea(*body) : params.null(pg::kBytea);
  params.text(content_type).int4(status).maybe_text(file_name);
  change(sql::kComplete, std::move(params), job.id, std::move(then));
}

void Client::fail(const ClaimedJob &job, const std::string &error, std::optional<std::int64_t> retry_in_ms,
                  Then<bool> then) {
  pg::Params params = job_params(job);
  params.text(error);
  retry_in_ms ? params.int8(*retry_in_ms) : params.null(pg::kInt8);
  change(sql::kFail, std::move(params), job.id, std::move(then));
}

void Client::release(const ClaimedJob &job, std::int64_t delay_ms) {
  pg::Params params = job_params(job);
  delay_ms > 0 ? params.int8(delay_ms) : params.null(pg::kInt8);
  change(sql::kRelease, std::move(params), job.id, [](const Result<bool> &) {});
}

void Client::tick() { maintenance_.run(); }
void Client::purge() { pg::Purge::run(pg_); }

}  // namespace await::worker
