#include "sim/store.h"

#include <algorithm>

#include "sim/poison.h"

namespace await::sim {

void Line::connect() {
  world_.after(world_.between(1, 400), [this, alive = alive_] {
    if (!*alive)
      return;
    if (weather_.away || weather_.stalled) {
      connect();
      return;
    }
    up_ = true;
    young_ = false;
    connected_();
    auto queued = std::move(queued_);
    queued_.clear();
    for (auto &op : queued) {
      if (!op->over)
        start(op);
    }
  });
}

void Line::lose() {
  if (!up_)
    return;
  up_ = false;
  ++epoch_;
  auto out = std::move(out_);
  out_.clear();
  for (auto &op : out) {
    world_.after(0, [op] {
      if (!op->over)
        op->fail();
    });
  }
  connect();
}

void Line::start(std::shared_ptr<Any> op) {
  ++count_;
  if (!up_) {
    if (young_)
      queued_.push_back(op);
    world_.after(young_ ? kConnectMs : 0, [this, alive = alive_, op] {
      if (*alive && !op->over && std::find(out_.begin(), out_.end(), op) == out_.end())
        op->fail();
    });
    return;
  }
  out_.push_back(op);
  if (weather_.pooled)
    last_exec_ = std::max(last_exec_, last_answer_);
  last_exec_ = std::max(last_exec_, world_.now() + world_.between(0, weather_.latency_ms));
  auto epoch = epoch_;
  world_.after(last_exec_ - world_.now(), [this, alive = alive_, op, epoch] {
    // what was on its way when its sender died or lost the line may still arrive
    if (*alive && (epoch == epoch_ || world_.chance(0.5)))
      happen(op, epoch);
  });
  world_.after(kTimeoutMs, [this, alive = alive_, op, epoch] {
    if (*alive && epoch == epoch_ && !op->over)
      lose();
  });
}

/// For a lock, or for what was sent before.
bool Line::must_wait(const std::shared_ptr<Any> &op) const {
  auto first = std::find_if(out_.begin(), out_.end(), [](auto &one) { return !one->happened; });
  bool is_behind = first != out_.end() && *first != op && std::find(first, out_.end(), op) != out_.end();
  return is_behind || (op->blocked && op->blocked());
}

void Line::happen(std::shared_ptr<Any> op, std::uint64_t epoch) {
  if (weather_.stalled) {
    world_.after(20, [this, alive = alive_, op, epoch] {
      if (*alive)
        happen(op, epoch);
    });
    return;
  }
  if (weather_.away)
    return;
  if (must_wait(op)) {
    world_.after(5, [this, alive = alive_, op, epoch] {
      if (*alive)
        happen(op, epoch);
    });
    return;
  }
  op->happened = true;
  bool cancelled = world_.chance(weather_.cancelling);
  if (!cancelled)
    op->happen();
  last_answer_ = std::max({last_answer_, last_exec_, world_.now() + world_.between(0, weather_.latency_ms)});
  world_.after(last_answer_ - world_.now(), [this, alive = alive_, op, epoch, cancelled] {
    if (!*alive || epoch != epoch_ || op->over)
      return;
    out_.remove(op);
    if (cancelled)
      op->fail();
    else
      op->answer();
  });
}

void Store::wrote(std::uint64_t xid) {
  if (on_write)
    on_write(xid);
}

void Store::submit(std::span<const core::NewJob *const> jobs,
                   core::Reply<std::vector<core::Submitted>> &reply) {
  std::vector<std::pair<Uuid, std::string>> ids;
  bool poison = false;
  for (const core::NewJob *job : jobs) {
    ids.emplace_back(job->id, job->queue);
    poison = poison || job->params == "poison";
  }
  write.call<std::vector<core::Submitted>>(
      reply, [this, ids, poison]() -> Result<std::vector<core::Submitted>> {
        if (poison)
          return Error{Code::invalid, "a row is bad"};
        auto xid = database_.begin();
        std::vector<core::Submitted> out;
        for (const auto &[id, queue] : ids) {
          std::int64_t created = database_.insert(xid, id, weather_.database_ms(world_.now()), queue);
          out.push_back({id, created});
        }
        database_.commit(xid);
        return out;
      });
}

namespace {
bool is_poison(const core::JobQuery &query) { return query.id == poison_id(); }
bool is_poison(const core::EventQuery &query) {
  return query.since ? query.since->owner == kPoison : query.id == poison_id();
}
bool is_poison(const core::TicketUse &ticket) { return ticket.owner == kPoison; }

/// What PostgreSQL says of a statement in which one value is bad.
template <class T>
bool is_refused(const std::vector<T> &all) {
  return std::any_of(all.begin(), all.end(), [](const T &one) { return is_poison(one); });
}
}  // namespace

template <class T>
void Store::ask(core::Reply<T> &reply, std::function<T()> look, bool refused) {
  read.call<T>(reply, [this, look = std::move(look), refused]() -> Result<T> {
    if (refused)
      return Error{Code::invalid, "a value is bad"};
    if (world_.chance(weather_.failing))
      return Error{Code::internal, "a read fails"};
    return look();
  });
}

void Store::jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<core::Job>> &reply) {
  std::vector<core::JobQuery> all(queries.begin(), queries.end());
  ask<std::vector<core::Job>>(
      reply, [this, all] { return database_.jobs(all); }, is_refused(all));
}

void Store::events(std::span<const core::EventQuery> queries,
                   core::Reply<std::vector<core::EventPage>> &reply) {
  std::vector<core::EventQuery> all(queries.begin(), queries.end());
  ask<std::vector<core::EventPage>>(
      reply, [this, all] { return database_.events(all); }, is_refused(all));
}

void Store::lists(std::span<const core::ListQuery> queries, core::Reply<std::vector<core::JobPage>> &reply) {
  std::vector<core::ListQuery> all(queries.begin(), queries.end());
  ask<std::vector<core::JobPage>>(reply, [this, all] { return database_.lists(all); });
}

void Store::lists(std::span<const core::ListQuery> queries,
                  core::Reply<std::vector<core::BatchPage>> &reply) {
  std::vector<core::ListQuery> all(queries.begin(), queries.end());
  ask<std::vector<core::BatchPage>>(reply, [this, all] { return database_.batch_lists(all); });
}

/// As await.edge_cancel(), which waits for 200 ms.
void Store::cancel(const Uuid &id, std::optional<int> seq, core::Reply<core::Cancelled> &reply) {
  auto is_locked = [this, id] {
    return database_.locked(id) || (core::kind_of(id) == core::Kind::job && !database_.may_end(id));
  };
  auto until = std::make_shared<std::int64_t>(0);
  write.call<core::Cancelled>(
      reply,
      [this, id, seq, is_locked]() -> Result<core::Cancelled> {
        if (is_locked())
          return Error{Code::conflict, "it is locked"};
        auto xid = database_.begin();
        core::Cancelled outcome = database_.cancel(xid, id, seq);
        database_.commit(xid);
        wrote(xid);
        return outcome;
      },
      [this, is_locked, until] {
        if (*until == 0)
          *until = world_.now() + 200;
        return is_locked() && world_.now() < *until;
      });
}

// --- batches and large payloads ---------------------------------------------------------------------------

void Store::stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs,
                  core::Reply<Done> &reply) {
  std::vector<core::NewJob> all;
  for (const core::NewJob &job : jobs) {
    core::NewJob &one = all.emplace_back();
    one.id = job.id, one.queue = job.queue, one.phase = job.phase, one.params = job.params;
  }
  bulk.call<Done>(reply, [this, batch, first, all]() -> Result<Done> {
    database_.stage(batch, first, all);
    return Done{};
  });
}

void Store::submit(const core::NewBatch &batch, core::Reply<core::Submitted> &reply) {
  bulk.call<core::Submitted>(reply, [this, batch]() -> Result<core::Submitted> {
    auto xid = database_.begin();
    auto outcome = database_.submit(xid, batch, weather_.database_ms(world_.now()));
    outcome ? database_.commit(xid) : database_.abort(xid);
    return outcome;
  });
}

void Store::unstage(const Uuid &batch) {
  bulk.send([this, batch] { database_.unstage(batch); });
}

void Store::add(const Uuid &batch, const core::NewJob &job, core::Reply<core::Added> &reply) {
  core::NewJob one = job;
  one.payload.reset();
  write.call<core::Added>(
      reply,
      [this, batch, one]() -> Result<core::Added> {
        if (one.params == "poison")
          return Error{Code::invalid, "a value is bad"};
        auto xid = database_.begin();
        core::Added outcome = database_.add(xid, batch, one, weather_.database_ms(world_.now()));
        database_.commit(xid);
        wrote(xid);
        return outcome;
      },
      [this, batch] { return database_.locked(batch); });
}

void Store::batch(const Uuid &id, core::Reply<std::optional<core::Batch>> &reply) {
  ask<std::optional<core::Batch>>(reply, [this, id] { return database_.batch(id); });
}

void Store::jobs_of(const Uuid &batch, const Uuid &after, int limit,
                    core::Reply<std::vector<core::Job>> &reply) {
  ask<std::vector<core::Job>>(reply,
                              [this, batch, after, limit] { return database_.jobs_of(batch, after, limit); });
}

void Store::put(const Uuid &job, int, std::int64_t, std::string_view, core::Reply<Done> &reply) {
  bulk.call<Done>(reply, [this, job]() -> Result<Done> {
    database_.put_chunk(job);
    return Done{};
  });
}

void Store::drop(const Uuid &job) {
  bulk.send([this, job] { database_.drop_chunks(job); });
}

void Store::tail(std::string_view snapshot, core::Reply<core::Tail> &reply) {
  ask<core::Tail>(reply, [this, since = std::string(snapshot)] { return database_.tail(since, 25); });
}

void Store::heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) {
  std::vector<Uuid> all(ids.begin(), ids.end());
  ask<core::Tail>(reply, [this, all] { return database_.heads(all); });
}

void Store::use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) {
  std::vector<core::TicketUse> all(tickets.begin(), tickets.end());
  write.call<std::vector<bool>>(reply, [this, all]() -> Result<std::vector<bool>> {
    if (is_refused(all))
      return Error{Code::invalid, "a value is bad"};
    std::vector<bool> out;
    for (const core::TicketUse &ticket : all)
      out.push_back(database_.use(ticket, weather_.database_ms(world_.now())));
    return out;
  });
}

void Store::hello(core::Reply<std::uint32_t> &reply) {
  ask<std::uint32_t>(reply, [this] { return database_.timeline(); });
}

void Store::revocations(core::Reply<std::vector<core::Revoked>> &reply) {
  ask<std::vector<core::Revoked>>(reply, [this] { return database_.revoked(); });
}

}  // namespace await::sim
