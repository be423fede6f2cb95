#include "core/hub.h"

#include <algorithm>
#include <utility>

namespace await::core {

Listener::~Listener() {
  if (watchers_ != nullptr)
    watchers_->hub.leave(*this);
}

Hub::~Hub() {
  for (auto &[job, watchers] : watched_)
    each(watchers, [](core::Listener &listener) { listener.watchers_ = nullptr; });
}

void Hub::listen(const Uuid &job, core::Listener &listener) {
  if (listener.watchers_ != nullptr)
    leave(listener);
  auto [at, fresh] = watched_.try_emplace(job, *this, job);
  at->second.listeners.push_back(listener);
  listener.watchers_ = &at->second;
  ++listeners_;
  if (!fresh)
    return;
  Shard &shard = shards_[job.shard()];
  shard.watched.push_back(at->second);
  shard.idle = false;
  if (!shard.subscribed) {
    shard.subscribed = true;
    // mutant: bus-subscription
    bus_.subscribe(job.shard());
  }
}

void Hub::leave(core::Listener &listener) {
  if (listener.watchers_ == nullptr)
    return;
  listener.unlink();
  Watchers &watchers = *std::exchange(listener.watchers_, nullptr);
  // mutant: listener-count
  --listeners_;
  drop(watchers);
}

/// Removes the entry of a job without listeners and updates.
void Hub::drop(Watchers &watchers) {
  if (watchers.listeners.empty() && watchers.turn.empty() && !watchers.Hook<IsPending>::linked())
    watched_.erase(Uuid(watchers.job));
}

void Hub::notify(const Uuid &job, int seq) {
  auto at = watched_.find(job);
  if (at != watched_.end())
    each(at->second, [seq](core::Listener &listener) { listener.on_hint(seq); });
}

void Hub::publish(VerifiedUpdate update) {
  auto at = watched_.find(update.job.id);
  if (at == watched_.end())
    return;
  Watchers &watchers = at->second;
  int last = update.last();
  if (watchers.pending && last <= watchers.pending->last())
    return;  // a duplicate
  bool fits = !watchers.pending || watchers.pending->page.events.size() < kMostPending;
  if (fits && !watchers.pending) {
    watchers.pending = std::make_unique<VerifiedUpdate>(std::move(update));
  } else if (!fits || !watchers.pending->append(std::move(update))) {
    notify(watchers.job, last);  // the events between must be read
    return;
  }
  pending_.push_back(watchers);
  scheduler_.run_soon();
}

void Hub::run() {
  unsigned budget = kBudget;
  while (Watchers *watchers = pending_.front()) {
    budget = deliver(*watchers, budget);
    if (budget == 0) {
      scheduler_.run_after(0);
      return;
    }
  }
}

/// @return  what is left of the budget
unsigned Hub::deliver(Watchers &watchers, unsigned budget) {
  if (!watchers.delivering) {
    watchers.delivering = std::move(watchers.pending);
    watchers.turn.take_all(watchers.listeners);
  }
  while (core::Listener *listener = watchers.delivering ? watchers.turn.front() : nullptr) {
    if (budget == 0)
      return 0;
    watchers.listeners.push_back(*listener);
    if (core::Listener *next = watchers.turn.front())
      next->prefetch();  // of ten thousand listeners, none is in the CPU cache
    // it may destroy any listener, and add new ones, which have read for themselves
    budget -= std::min(budget, listener->on_update(*watchers.delivering));
  }
  watchers.delivering.reset();
  if (!watchers.pending) {
    watchers.Hook<IsPending>::unlink();
    drop(watchers);
  }
  return budget;
}

void Hub::on_subscription(unsigned shard) {
  if (shard >= kShards)
    return;
  // mutant: subscribed-means-look
  shards_[shard].watched.each(
      [](Watchers &watchers) { each(watchers, [](core::Listener &listener) { listener.on_hint(0); }); });
}

void Hub::on_history_changed() {
  while (Watchers *watchers = pending_.pop_front()) {  // they are of the old timeline
    watchers->pending.reset();
    watchers->delivering.reset();
    watchers->listeners.take_all(watchers->turn);
    drop(*watchers);
  }
  // mutant: failover-notice
  for (auto &[job, watchers] : watched_)
    watchers.listeners.each([](core::Listener &listener) { listener.on_history_changed(); });
}

void Hub::sweep() {
  for (unsigned i = 0; i < kShards; ++i) {
    Shard &shard = shards_[i];
    // mutant: shard-in-use
    if (!shard.subscribed || !shard.watched.empty())
      continue;
    if (shard.idle) {
      bus_.unsubscribe(i);
      shard.subscribed = false;
    }
    shard.idle = !shard.idle;
  }
}

std::size_t Hub::clients(const Uuid &job) {
  auto at = watched_.find(job);
  std::size_t n = 0;
  if (at != watched_.end())
    each(at->second, [&](core::Listener &one) { n += one.is_client() ? 1 : 0; });
  return n;
}

std::vector<Uuid> Hub::watched() const {
  std::vector<Uuid> ids;
  ids.reserve(watched_.size());
  for (const auto &[job, watchers] : watched_)
    ids.push_back(job);
  return ids;
}

}  // namespace await::core
