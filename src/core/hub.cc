#include "core/hub.h"

#include <algorithm>
#include <utility>

namespace await::core {

Listener::~Listener() {
  if (channel_ != nullptr)
    channel_->hub.leave(*this);
}

Hub::~Hub() {
  for (auto &[job, channel] : channels_)
    each(channel, [](core::Listener &listener) { listener.channel_ = nullptr; });
}

void Hub::listen(const Uuid &job, core::Listener &listener) {
  if (listener.channel_ != nullptr)
    leave(listener);
  auto [at, fresh] = channels_.try_emplace(job, *this, job);
  at->second.listeners.push_back(listener);
  listener.channel_ = &at->second;
  ++listeners_;
  if (!fresh)
    return;
  Shard &shard = shards_[job.shard()];
  shard.channels.push_back(at->second);
  shard.idle = false;
  if (!shard.subscribed) {
    shard.subscribed = true;
    // mutant: bus-subscription
    bus_.subscribe(job.shard());
  }
}

void Hub::leave(core::Listener &listener) {
  if (listener.channel_ == nullptr)
    return;
  listener.unlink();
  Channel &channel = *std::exchange(listener.channel_, nullptr);
  // mutant: listener-count
  --listeners_;
  drop(channel);
}

/// Nobody watches any more, and there is nothing to tell.
void Hub::drop(Channel &channel) {
  if (channel.listeners.empty() && channel.turn.empty() && !channel.Hook<HasNews>::linked())
    channels_.erase(Uuid(channel.job));
}

void Hub::hinted(const Uuid &job, int seq) {
  auto at = channels_.find(job);
  if (at != channels_.end())
    each(at->second, [seq](core::Listener &listener) { listener.changed(seq); });
}

void Hub::told(Told told) {
  auto at = channels_.find(told.job.id);
  if (at == channels_.end())
    return;
  Channel &channel = at->second;
  int last = told.last();
  if (channel.fresh && last <= channel.fresh->last())
    return;  // said twice
  bool fits = !channel.fresh || channel.fresh->page.events.size() < kNews;
  if (fits && !channel.fresh) {
    channel.fresh = std::make_unique<Told>(std::move(told));
  } else if (!fits || !channel.fresh->append(std::move(told))) {
    hinted(channel.job, last);  // what lies between has to be read
    return;
  }
  news_.push_back(channel);
  wake_.wake();
}

void Hub::run() {
  unsigned budget = kBudget;
  while (Channel *channel = news_.front()) {
    budget = tell(*channel, budget);
    if (budget == 0) {
      wake_.wake_in(0);
      return;
    }
  }
}

/// Takes a channel as far as the budget goes; what is left of it.
unsigned Hub::tell(Channel &channel, unsigned budget) {
  if (!channel.telling) {
    channel.telling = std::move(channel.fresh);
    channel.turn.take_all(channel.listeners);
  }
  while (core::Listener *listener = channel.telling ? channel.turn.front() : nullptr) {
    if (budget == 0)
      return 0;
    channel.listeners.push_back(*listener);
    if (core::Listener *next = channel.turn.front())
      next->prefetch();  // of ten thousand, none is in the cache
    // it may destroy any of them, and bring new ones, who have read for themselves
    budget -= std::min(budget, listener->told(*channel.telling));
  }
  channel.telling.reset();
  if (!channel.fresh) {
    channel.Hook<HasNews>::unlink();
    drop(channel);
  }
  return budget;
}

void Hub::subscribed(unsigned shard) {
  if (shard >= kShards)
    return;
  // mutant: subscribed-means-look
  shards_[shard].channels.each(
      [](Channel &channel) { each(channel, [](core::Listener &listener) { listener.changed(0); }); });
}

void Hub::history_changed() {
  while (Channel *channel = news_.pop_front()) {  // news of a history that is no more
    channel->fresh.reset();
    channel->telling.reset();
    channel->listeners.take_all(channel->turn);
    drop(*channel);
  }
  // mutant: failover-notice
  for (auto &[job, channel] : channels_)
    channel.listeners.each([](core::Listener &listener) { listener.history_changed(); });
}

void Hub::sweep() {
  for (unsigned i = 0; i < kShards; ++i) {
    Shard &shard = shards_[i];
    // mutant: shard-in-use
    if (!shard.subscribed || !shard.channels.empty())
      continue;
    if (shard.idle) {
      bus_.unsubscribe(i);
      shard.subscribed = false;
    }
    shard.idle = !shard.idle;
  }
}

std::vector<Uuid> Hub::watched() const {
  std::vector<Uuid> ids;
  ids.reserve(channels_.size());
  for (const auto &[job, channel] : channels_)
    ids.push_back(job);
  return ids;
}

}  // namespace await::core
