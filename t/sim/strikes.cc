// What happens to the service: faults of PostgreSQL and of the ways to it, clocks, failovers, restores.

#include <algorithm>

#include "sim/run.h"

namespace await::sim {
namespace {

constexpr std::int64_t kDayMs = std::int64_t{86'400} * 1000;
/// Of a job, from its end; longer than any way to its watchers in fair weather.
constexpr std::int64_t kRetainedMs = 15'000;
constexpr std::int64_t kFindBackMs = 1500;

}  // namespace

void Run::trouble(std::int64_t ms) {
  weather_.trouble_until = std::max(weather_.trouble_until, world_.now() + ms);
}

template <class Mend>
void Run::trouble_for(std::int64_t ms, Mend mend) {
  trouble(ms + kFindBackMs);
  world_.after(ms, mend);
}

void Run::lose_lines() {
  for (auto &node : service_.nodes) {
    if (node)
      node->store.read.lose(), node->store.write.lose(), node->store.bulk.lose();
  }
}

void Run::strike() {
  ++faults_;
  auto lasts = world_.between(100, 8000);
  switch (auto what = world_.between(0, failovers_ ? 14 : 9)) {
    case 4:
      world_.say("a line is cut");
      if (Node *node = service_.some_node())
        (world_.chance(0.5)   ? node->store.read
         : world_.chance(0.5) ? node->store.write
                              : node->store.bulk)
            .lose();
      return trouble(kFindBackMs);
    case 5:
      world_.say("Redis is away");  // not a fault: the bound holds without Redis
      weather_.bus_away = true;
      world_.after(lasts * 3, [this] {
        weather_.bus_away = false;
        broker_.restarted();
      });
      return;
    case 6:
      weather_.hints_lost = world_.chance(0.5) ? world_.unit() : 0;
      weather_.hints_doubled = world_.chance(0.5) ? world_.unit() : 0;
      weather_.hints_late_ms = world_.chance(0.5) ? world_.between(1, 3000) : 1;
      return;
    case 7:
      return crash(static_cast<std::size_t>(world_.between(0, kNodes - 1)));
    case 9:  // not a fault either: no bound depends on it
      weather_.clock_ms = world_.between(-kDayMs, kDayMs);
      return world_.say("the clock of PostgreSQL is set to " + std::to_string(weather_.clock_ms) + " ms");
    default:
      return what < 9 ? strike_database(what, lasts) : change_history(what, lasts);
  }
}

void Run::strike_database(std::int64_t what, std::int64_t lasts) {
  switch (what) {
    case 0:
      world_.say("PostgreSQL restarts");
      weather_.away = true;
      database_.crash();
      lose_lines();
      return trouble_for(world_.chance(0.2) ? lasts * 6 : lasts, [this] { weather_.away = false; });
    case 1:
      world_.say("PostgreSQL stands still");
      weather_.stalled = true;
      return trouble_for(lasts * 2, [this] { weather_.stalled = false; });
    case 2:
      world_.say("PostgreSQL is slow");
      weather_.latency_ms = world_.between(10, 900);
      return trouble_for(lasts, [this] { weather_.latency_ms = 1; });
    case 3:
      world_.say("reads fail");
      weather_.failing = world_.unit() * 0.8;
      return trouble_for(lasts * 2, [this] { weather_.failing = 0; });
    default:
      world_.say("statements are cancelled");
      weather_.cancelling = world_.unit() * 0.5;
      return trouble_for(lasts, [this] { weather_.cancelling = 0; });
  }
}

/// A failover, or a backup is restored. Connections end; those of a pooler that are idle stay, and have
/// another server behind them.
void Run::change_history(std::int64_t what, std::int64_t lasts) {
  if (weather_.away)
    return;
  bool restored = what > 12 && backup_;
  world_.say(restored ? "a backup is restored" : "a standby takes over");
  if (restored)
    database_.restore(*backup_);
  else
    database_.fail_over(
        static_cast<std::size_t>(world_.chance(0.2) ? world_.between(50, 500) : world_.between(0, 12)));
  if (weather_.pooled) {
    for (auto &node : service_.nodes) {
      if (node)
        node->store.read.lose_busy(), node->store.write.lose_busy(), node->store.bulk.lose_busy();
    }
    trouble(Node::kRereadMs + kFindBackMs);
  } else {
    weather_.away = true;
    lose_lines();
    trouble_for(lasts, [this] { weather_.away = false; });
  }
  on_history_changed();
}

/// Clients may hold what was undone, and are owed a reset then. No promise covers a job that was lost.
void Run::on_history_changed() {
  for (auto &hold : holds_)
    hold->failed_over();
  for (auto &session : sessions_)
    session->failed_over();
  service_.revoked.clear();  // they may be undone
  for (auto &submitter : submitters_)
    submitter->failed_over();
  tickets_.clear();  // those of another history are refused by nginx
  std::erase_if(service_.accepted, [this](const Uuid &id) { return !database_.has(id); });
  std::erase_if(service_.accepted_batches, [this](const Uuid &id) { return !database_.has(id); });
  ended_.clear();
  settled_.clear();
  for (const Uuid &job : database_.all()) {
    if (core::is_ending(database_.history(job).back().state) && !database_.is_of_batch(job))
      ended_.emplace_back(job, world_.now());
  }
}

void Run::purge_one(const Uuid &id) {
  database_.purge(id);
  std::erase(service_.accepted, id);
  std::erase(service_.accepted_batches, id);
  ++purged_;
  if (world_.chance(0.3)) {  // somebody asks for it
    holds_.push_back(std::make_unique<HoldClient>(service_, id));
    holds_.back()->start();
  }
}

/// As await.purge(), while clients read: drops jobs of whose end everybody has had the time to hear.
void Run::purge() {
  if (weather_.away || weather_.stalled)
    return;
  for (const Uuid &batch : database_.batches()) {
    if (auto at = settled_.find(batch);
        at != settled_.end() && world_.now() - std::max(at->second, weather_.trouble_until) > kRetainedMs &&
        world_.chance(0.3))
      purge_one(batch);
  }
  while (!ended_.empty() &&
         world_.now() - std::max(ended_.front().second, weather_.trouble_until) > kRetainedMs) {
    Uuid job = ended_.front().first;
    ended_.pop_front();
    auto entries = database_.history(job);
    if (entries.empty())
      continue;
    if (!core::is_ending(entries.back().state))
      world_.violated("P1", job.text().substr(24) + " is purged and has not ended");
    purge_one(job);
  }
}

void Run::crash(std::size_t which) {
  Node *node = service_.nodes[which].get();
  if (node == nullptr)
    return;
  world_.say("a node crashes");
  for (auto &submitter : submitters_) {
    if (submitter->node() == node)
      submitter->leave();
  }
  for (auto &hold : holds_) {
    if (hold->node() == node)
      hold->disconnect();
  }
  for (auto &session : sessions_) {
    if (session->node() == node)
      session->disconnect();
  }
  leave_batches(node);
  service_.nodes[which].reset();
  trouble(0);
  world_.after(world_.between(1, 3000), [this, which] {
    service_.nodes[which] = start_node();
    trouble(1500);
  });
}

void Run::heal() {
  auto until = weather_.trouble_until;
  auto clock = weather_.clock_ms;
  weather_ = usual();
  weather_.clock_ms = clock;
  weather_.trouble_until = until;
  broker_.restarted();
}

}  // namespace await::sim
