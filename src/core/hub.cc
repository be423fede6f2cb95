#include "core/hub.h"

#include <utility>

namespace await::core {

Listener::~Listener() {
  if (channel_ != nullptr)
    channel_->hub.leave(*this);
}

Hub::~Hub() {
  for (auto &[job, channel] : channels_)
    channel.listeners.each([](core::Listener &listener) { listener.channel_ = nullptr; });
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
    bus_.subscribe(job.shard());
  }
}

void Hub::leave(core::Listener &listener) {
  if (listener.channel_ == nullptr)
    return;
  listener.unlink();
  Channel &channel = *std::exchange(listener.channel_, nullptr);
  --listeners_;
  drop(channel);
}

/// Nobody watches any more, and nothing is being told.
void Hub::drop(Channel &channel) {
  if (channel.listeners.empty() && !channel.telling)
    channels_.erase(Uuid(channel.job));
}

void Hub::hinted(const Uuid &job, int seq) {
  auto at = channels_.find(job);
  if (at != channels_.end())
    at->second.listeners.each([seq](core::Listener &listener) { listener.changed(seq); });
}

void Hub::told(const Told &told) {
  auto at = channels_.find(told.job.id);
  if (at == channels_.end() || at->second.telling)
    return;
  Channel &channel = at->second;
  channel.telling = true;
  List<core::Listener> now;  // each call may destroy any of them, or bring new ones
  std::size_t crowd = 0;
  channel.listeners.each([&](core::Listener &) { ++crowd; });
  now.take_all(channel.listeners);
  while (core::Listener *listener = now.pop_front()) {
    channel.listeners.push_back(*listener);
    listener->told(told, crowd);
  }
  channel.telling = false;
  drop(channel);
}

void Hub::subscribed(unsigned shard) {
  if (shard >= kShards)
    return;
  shards_[shard].channels.each([](Channel &channel) {
    channel.listeners.each([](core::Listener &listener) { listener.changed(0); });
  });
}

void Hub::history_changed() {
  for (auto &[job, channel] : channels_)
    channel.listeners.each([](core::Listener &listener) { listener.history_changed(); });
}

void Hub::sweep() {
  for (unsigned i = 0; i < kShards; ++i) {
    Shard &shard = shards_[i];
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
