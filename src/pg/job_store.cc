#include "pg/job_store.h"

#include <algorithm>

#include "base/text.h"
#include "pg/call.h"
#include "pg/decode_jobs.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

using core::EventPage;
using core::Job;

Result<std::vector<core::Submitted>> decode_submitted(const Rows &rows, std::size_t asked) {
  if (static_cast<std::size_t>(rows.count()) != asked)
    return Error{Code::internal, "await.edge_submit returned a wrong number of jobs"};
  std::vector<core::Submitted> out;
  for (int row = 0; row < rows.count(); ++row) {
    bool is_full = rows.columns() > 3 && !rows.null(row, 3);
    out.push_back(is_full ? decode_full(rows, row, rows.bytes(row, 3), 4)
                          : core::Submitted{rows.uuid(row, 0), rows.time_ms(row, 1),
                                            rows.columns() > 2 && rows.boolean(row, 2)});
  }
  return out;
}

Result<std::vector<Job>> decode_all_jobs(const Rows &rows, std::size_t) { return decode_jobs(rows); }

/// Decodes pages of lists: the columns item, next_id and next_eid, and from column 3 an entry.
template <class Entry, Entry (*decode)(const Rows &rows, int row, int id)>
Result<std::vector<core::PageOf<Entry>>> decode_pages(const Rows &rows, std::size_t asked) {
  std::vector<core::PageOf<Entry>> out(asked);
  for (int row = 0; row < rows.count(); ++row) {
    auto item = static_cast<std::size_t>(rows.number(row, 0)) - 1;
    if (item >= asked)
      return Error{Code::internal, "await.edge_list returned a page that was not requested"};
    core::PageOf<Entry> &page = out[item];
    page.next.reset();  // the last row of a page has it
    if (!rows.null(row, 1))
      page.next = core::ListPosition{rows.uuid(row, 1), rows.number(row, 2)};
    if (!rows.null(row, 3))
      page.entries.push_back(decode(rows, row, 3));
  }
  return out;
}

Result<std::vector<EventPage>> decode_events(const Rows &rows, std::size_t asked) {
  std::vector<EventPage> out(asked);
  for (EventPage &page : out)
    page.last_seq = 0;
  for (int row = 0; row < rows.count(); ++row) {
    auto item = static_cast<std::size_t>(rows.number(row, 0)) - 1;
    if (item >= asked)
      return Error{Code::internal, "await.edge_events returned a job that was not requested"};
    EventPage &page = out[item];
    page.job = rows.uuid(row, 15);
    page.owner = rows.maybe_text(row, 1);
    page.correlation_id = rows.maybe_text(row, 2);
    page.created_at = rows.time_ms(row, 3);
    page.last_seq = static_cast<int>(rows.number(row, 4));
    page.state = core::parse_state(rows.bytes(row, 5)).value_or(core::State::pending);
    page.base = static_cast<int>(rows.number(row, 16));
    if (rows.null(row, 6))
      continue;
    core::Event event;
    event.seq = static_cast<int>(rows.number(row, 6));
    event.type = rows.text(row, 7);
    event.at = rows.time_ms(row, 8);
    event.data = rows.maybe_text(row, 9);
    if (!rows.null(row, 10)) {
      event.result = decode_result(rows, row, 10, 0);
      if (!rows.null(row, 14))
        event.result->body = Bytes(rows.bytes(row, 14));
    }
    page.events.push_back(std::move(event));
  }
  return out;
}

Result<std::vector<EventPage>> decode_user_events(const Rows &rows, std::size_t asked) {
  std::vector<EventPage> out(asked);
  for (int row = 0; row < rows.count(); ++row) {
    auto item = static_cast<std::size_t>(rows.number(row, 0)) - 1;
    if (item >= asked)
      return Error{Code::internal, "await.edge_user_events returned a user that was not requested"};
    EventPage &page = out[item];
    page.owner = rows.maybe_text(row, 17);
    page.state = core::State::processing;
    page.merged = {{rows.text(row, 1), rows.number(row, 2)}, rows.boolean(row, 3), rows.boolean(row, 4)};
    if (rows.null(row, 5))
      continue;
    core::Event event;
    event.origin = {rows.uuid(row, 5), rows.maybe_text(row, 6), rows.number(row, 7)};
    event.seq = static_cast<int>(rows.number(row, 8));
    event.type = rows.text(row, 9);
    event.at = rows.time_ms(row, 10);
    event.data = rows.maybe_text(row, 11);
    if (!rows.null(row, 12)) {
      event.result = decode_result(rows, row, 12, 0);
      if (!rows.null(row, 16))
        event.result->body = Bytes(rows.bytes(row, 16));
    }
    page.events.push_back(std::move(event));
  }
  return out;
}

Result<core::Tail> decode_tail(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.edge_tail returned no snapshot"};
  core::Tail tail{rows.text(0, 0), rows.boolean(0, 1), {}};
  ArrayReader jobs(rows.bytes(0, 2));
  ArrayReader seqs(rows.bytes(0, 3));
  std::string_view job;
  std::string_view seq;
  while (jobs.next(job) && seqs.next(seq)) {
    Uuid::Raw raw{};
    if (job.size() != raw.size())
      continue;
    std::copy(job.begin(), job.end(), raw.begin());
    tail.changes.emplace_back(Uuid(raw), static_cast<int>(big_endian(seq)));
  }
  return tail;
}

Result<int> decode_seq(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.edge_publish returned no sequence number"};
  return static_cast<int>(rows.number(0, 0));
}

Result<std::vector<bool>> decode_used(const Rows &rows, std::size_t asked) {
  std::vector<bool> out(asked);
  for (int row = 0; row < rows.count(); ++row) {
    auto item = static_cast<std::size_t>(rows.number(row, 0)) - 1;
    if (item >= asked)
      return Error{Code::internal, "await.edge_use_tickets returned a ticket that was not requested"};
    out[item] = rows.boolean(row, 1);
  }
  return out;
}

Result<std::vector<core::Revoked>> decode_revocations(const Rows &rows, std::size_t) {
  std::vector<core::Revoked> out;
  for (int row = 0; row < rows.count(); ++row)
    out.push_back({rows.text(row, 0), rows.number(row, 1)});
  return out;
}

Result<core::Cancelled> decode_cancelled(const Rows &rows, std::size_t) {
  std::string_view word = rows.count() == 1 ? rows.bytes(0, 0) : std::string_view();
  if (word == "cancelled")
    return core::Cancelled::now;
  if (word == "already")
    return core::Cancelled::already;
  if (word == "changed")
    return core::Cancelled::changed;
  return word == "ended" ? core::Cancelled::ended : core::Cancelled::unknown;
}

Result<core::Retried> decode_retried(const Rows &rows, std::size_t) {
  using Outcome = core::Retried::Outcome;
  std::string_view word = rows.count() == 1 ? rows.bytes(0, 0) : std::string_view();
  if (word == "running" || word == "unknown")
    return core::Retried{word == "running" ? Outcome::running : Outcome::unknown, {}};
  if (word == "queue" || word == "owner") {
    core::Submitted met = decode_full(rows, 0, word, 2);
    return core::Retried{Outcome::full, {}, met.full, met.retry_ms};
  }
  if (word.empty() || rows.null(0, 1))
    return Error{Code::internal, "await.edge_retry returned no job"};
  return core::Retried{word == "retried" ? Outcome::made : Outcome::replayed, rows.uuid(0, 1)};
}

Result<core::Standing> decode_standing(const Rows &rows, std::size_t) {
  core::Standing out;
  if (rows.count() != 1)
    return out;
  if (!rows.null(0, 0))
    out.position = rows.number(0, 0);
  if (!rows.null(0, 1))
    out.eta_ms = rows.number(0, 1);
  return out;
}

void add_keys(Params &all, std::span<const core::NewJob *const> jobs) {
  ArrayWriter keys(kText), fingerprints(kBytea), keeps(kInt8);
  for (const core::NewJob *job : jobs) {
    if (!job->idempotency) {
      keys.null();
      fingerprints.null();
      keeps.null();
      continue;
    }
    keys.bytes(job->idempotency->key);
    fingerprints.bytes(job->idempotency->fingerprint);
    keeps.int8(job->idempotency->keep_ms);
  }
  all.array(kTextArray, std::move(keys))
      .array(kByteaArray, std::move(fingerprints))
      .array(kInt8Array, std::move(keeps));
}

void add_limits(Params &all, std::span<const core::NewJob *const> jobs) {
  ArrayWriter mosts(kInt4), of_owners(kInt4);
  for (const core::NewJob *job : jobs) {
    mosts.maybe_int4(job->limits.max_pending);
    of_owners.maybe_int4(job->limits.max_pending_per_owner);
  }
  all.array(kInt4Array, std::move(mosts)).array(kInt4Array, std::move(of_owners));
}

/// The webhooks of the jobs; without any, no array.
void add_webhooks(Params &all, std::span<const core::NewJob *const> jobs, bool some) {
  if (!some) {
    all.null(kTextArray);
    return;
  }
  ArrayWriter webhooks(kText);
  for (const core::NewJob *job : jobs)
    webhooks.maybe(job->webhook);
  all.array(kTextArray, std::move(webhooks));
}

}  // namespace

void JobStore::submit(std::span<const core::NewJob *const> jobs,
                      core::Reply<std::vector<core::Submitted>> &reply) {
  bool once = std::any_of(jobs.begin(), jobs.end(), [](auto *job) { return job->idempotency.has_value(); });
  ArrayWriter ids(kUuid), queues(kText), priorities(kInt2), owners(kText), correlations(kText), traces(kText),
      types(kText), names(kText), params(kText), payloads(kBytea), sizes(kInt8), leases(kInt8),
      attempts(kInt2), delays(kInt8), deadlines(kInt8);
  for (const core::NewJob *job : jobs) {
    ids.uuid(job->id);
    queues.bytes(job->queue);
    priorities.int2(job->priority);
    owners.maybe(job->owner);
    correlations.maybe(job->correlation_id);
    traces.maybe(job->trace);
    types.bytes(job->content_type);
    names.maybe(job->file_name);
    params.maybe(job->params);
    payloads.maybe(job->payload);
    sizes.int8(job->payload_size);
    leases.maybe_int8(job->lease_ms);
    job->max_attempts ? attempts.int2(*job->max_attempts) : attempts.null();
    delays.maybe_int8(job->delay_ms);
    deadlines.maybe_int8(job->deadline_ms);
  }
  Params all;
  all.array(kUuidArray, std::move(ids))
      .array(kTextArray, std::move(queues))
      .array(kInt2Array, std::move(priorities));
  all.array(kTextArray, std::move(owners))
      .array(kTextArray, std::move(correlations))
      .array(kTextArray, std::move(traces));
  all.array(kTextArray, std::move(types))
      .array(kTextArray, std::move(names))
      .array(kTextArray, std::move(params));
  all.array(kByteaArray, std::move(payloads))
      .array(kInt8Array, std::move(sizes))
      .array(kInt8Array, std::move(leases));
  all.array(kInt2Array, std::move(attempts))
      .array(kInt8Array, std::move(delays))
      .array(kInt8Array, std::move(deadlines));
  bool limited = std::any_of(jobs.begin(), jobs.end(), [](auto *job) {
    return job->limits.max_pending || job->limits.max_pending_per_owner;
  });
  if (once || limited)
    add_keys(all, jobs);
  if (limited)
    add_limits(all, jobs);
  bool hooked = std::any_of(jobs.begin(), jobs.end(), [](auto *job) { return job->webhook.has_value(); });
  if (once || limited || hooked)
    add_webhooks(all, jobs, hooked);
  const char *sql = limited  ? statements::kSubmitLimited
                    : once   ? statements::kSubmitOnce
                    : hooked ? statements::kSubmitWithWebhooks
                             : statements::kSubmit;
  write_.send(std::make_unique<Call<std::vector<core::Submitted>>>(sql, std::move(all), reply,
                                                                   decode_submitted, jobs.size()));
}

void JobStore::jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<Job>> &reply) {
  ArrayWriter ids(kUuid), wants(kInt2);
  for (const core::JobQuery &query : queries) {
    ids.uuid(query.id);
    wants.int2(static_cast<int>(query.detail));
  }
  Params params;
  params.array(kUuidArray, std::move(ids)).array(kInt2Array, std::move(wants)).int4(value_max_);
  read_.send(
      std::make_unique<Call<std::vector<Job>>>(statements::kJobs, std::move(params), reply, decode_all_jobs));
}

void JobStore::events(std::span<const core::EventQuery> queries, core::Reply<std::vector<EventPage>> &reply) {
  if (!queries.empty() && queries.front().since) {
    user_events(queries, reply);
    return;
  }
  ArrayWriter ids(kUuid), after(kInt4);
  for (const core::EventQuery &query : queries) {
    ids.uuid(query.id);
    after.int4(query.after);
  }
  Params params;
  params.array(kUuidArray, std::move(ids))
      .array(kInt4Array, std::move(after))
      .int4(kEventsAPage)
      .int4(value_max_);
  read_.send(std::make_unique<Call<std::vector<EventPage>>>(statements::kEvents, std::move(params), reply,
                                                            decode_events, queries.size()));
}

void JobStore::user_events(std::span<const core::EventQuery> queries,
                           core::Reply<std::vector<EventPage>> &reply) {
  ArrayWriter items(kInt8), owners(kText), since(kText), since_at(kInt8), upto(kText), upto_at(kInt8),
      eids(kInt8);
  for (const core::EventQuery &query : queries) {
    items.int8(&query - queries.data() + 1);
    owners.bytes(query.since->owner);
    since.bytes(query.since->seen.text);
    since_at.int8(query.since->seen.at_s);
    upto.bytes(query.since->reading.text);
    upto_at.int8(query.since->reading.at_s);
    eids.int8(query.since->eid);
  }
  Params params;
  params.array(kInt8Array, std::move(items))
      .array(kTextArray, std::move(owners))
      .array(kTextArray, std::move(since));
  params.array(kInt8Array, std::move(since_at))
      .array(kTextArray, std::move(upto))
      .array(kInt8Array, std::move(upto_at));
  params.array(kInt8Array, std::move(eids)).int4(kUserEventsAPage).int4(value_max_);
  read_.send(std::make_unique<Call<std::vector<EventPage>>>(statements::kUserEvents, std::move(params), reply,
                                                            decode_user_events, queries.size()));
}

namespace {

/// The arguments of await.edge_list(), or of await.edge_list_batches(), which has neither queues nor batches.
Params list_params(std::span<const core::ListQuery> queries, bool of_batches) {
  ArrayWriter owners(kText), queues(kText), states(kText), batches(kUuid), since(kInt8), until(kInt8),
      ids(kUuid), eids(kInt8), limits(kInt4);
  for (const core::ListQuery &query : queries) {
    owners.maybe(query.owner);
    queues.maybe(query.queue);
    states.maybe(query.states);
    query.batch ? batches.uuid(*query.batch) : batches.null();
    since.maybe_int8(query.since_us);
    until.maybe_int8(query.until_us);
    query.after ? ids.uuid(query.after->id) : ids.null();
    query.after ? eids.int8(query.after->eid) : eids.null();
    limits.int4(query.limit);
  }
  Params params;
  params.array(kTextArray, std::move(owners));
  if (!of_batches)
    params.array(kTextArray, std::move(queues));
  params.array(kTextArray, std::move(states));
  if (!of_batches)
    params.array(kUuidArray, std::move(batches));
  params.array(kInt8Array, std::move(since)).array(kInt8Array, std::move(until));
  params.array(kUuidArray, std::move(ids)).array(kInt8Array, std::move(eids));
  params.array(kInt4Array, std::move(limits));
  return params;
}

}  // namespace

void JobStore::lists(std::span<const core::ListQuery> queries,
                     core::Reply<std::vector<core::JobPage>> &reply) {
  read_.send(std::make_unique<Call<std::vector<core::JobPage>>>(
      statements::kJobLists, list_params(queries, false), reply, decode_pages<Job, decode_job>,
      queries.size()));
}

void JobStore::lists(std::span<const core::ListQuery> queries,
                     core::Reply<std::vector<core::BatchPage>> &reply) {
  read_.send(std::make_unique<Call<std::vector<core::BatchPage>>>(
      statements::kBatchLists, list_params(queries, true), reply, decode_pages<core::Batch, decode_batch>,
      queries.size()));
}

void JobStore::tail(std::string_view snapshot, core::Reply<core::Tail> &reply) {
  Params params;
  params.text(snapshot).int4(kTailRows);
  read_.send(std::make_unique<Call<core::Tail>>(statements::kTail, std::move(params), reply, decode_tail));
}

void JobStore::heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) {
  ArrayWriter list(kUuid);
  for (const Uuid &id : ids)
    list.uuid(id);
  Params params;
  params.array(kUuidArray, std::move(list));
  read_.send(std::make_unique<Call<core::Tail>>(statements::kHeads, std::move(params), reply, decode_tail));
}

void JobStore::cancel(const Uuid &id, std::optional<int> seq, core::Reply<core::Cancelled> &reply) {
  Params params;
  params.uuid(id);
  seq ? params.int4(*seq) : params.null(kInt4);
  write_.send(std::make_unique<Call<core::Cancelled>>(statements::kCancel, std::move(params), reply,
                                                      decode_cancelled));
}

void JobStore::retry(const Uuid &id, const core::PendingLimits &limits, core::Reply<core::Retried> &reply) {
  Params params;
  params.uuid(id).maybe_int4(limits.max_pending).maybe_int4(limits.max_pending_per_owner);
  write_.send(
      std::make_unique<Call<core::Retried>>(statements::kRetry, std::move(params), reply, decode_retried));
}

void JobStore::standing(const Uuid &id, core::Reply<core::Standing> &reply) {
  Params params;
  params.uuid(id);
  read_.send(std::make_unique<Call<core::Standing>>(statements::kStanding, std::move(params), reply,
                                                    decode_standing));
}

void JobStore::publish(std::string_view topic, std::string_view type, std::string_view json, bool latest,
                       core::Reply<int> &reply) {
  Params params;
  params.text(topic).text(type).text(json).boolean(latest);
  write_.send(std::make_unique<Call<int>>(statements::kPublish, std::move(params), reply, decode_seq));
}

void JobStore::use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) {
  ArrayWriter ids(kUuid), owners(kText), issued(kInt8), untils(kInt8);
  for (const core::TicketUse &ticket : tickets) {
    ids.uuid(ticket.id);
    owners.bytes(ticket.owner);
    issued.int8(ticket.issued_ms);
    untils.int8(ticket.until_ms);
  }
  Params params;
  params.array(kUuidArray, std::move(ids)).array(kTextArray, std::move(owners));
  params.array(kInt8Array, std::move(issued)).array(kInt8Array, std::move(untils));
  write_.send(std::make_unique<Call<std::vector<bool>>>(statements::kUseTickets, std::move(params), reply,
                                                        decode_used, tickets.size()));
}

void JobStore::revocations(core::Reply<std::vector<core::Revoked>> &reply) {
  read_.send(std::make_unique<Call<std::vector<core::Revoked>>>(statements::kRevoked, Params(), reply,
                                                                decode_revocations));
}

}  // namespace await::pg
