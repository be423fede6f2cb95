#include "core/hub.h"

namespace await::core {

Listener::~Listener() {
  if (hub_ != nullptr)
    hub_->leave(*this);
}

Hub::~Hub() {
  for (auto &[job, channel] : channels_)
    channel.listeners.each([](core::Listener &listener) { listener.hub_ = nullptr; });
}

void Hub::listen(const Uuid &job, core::Listener &listener) {
  if (listener.hub_ != nullptr)
    leave(listener);
  auto [at, fresh] = channels_.try_emplace(job);
  at->second.listeners.push_back(listener);
  listener.hub_ = this;
  listener.job_ = job;
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
  if (listener.hub_ != this)
    return;
  listener.unlink();
  listener.hub_ = nullptr;
  --listeners_;
  auto at = channels_.find(listener.job_);
  if (at != channels_.end() && at->second.listeners.empty() && !at->second.telling)
    channels_.erase(at);
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
  if (channel.listeners.empty())
    channels_.erase(told.job.id);
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
