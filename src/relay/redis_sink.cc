#include "relay/redis_sink.h"

#include <utility>

#include "core/kind.h"
#include "wire/channel.h"

namespace await::relay {

void RedisSink::lead(bool leads) {
  if (!leads && !waiting_.empty())
    timer_->set(kGraceMs);
}

/// A server may be silent for seconds before its connection is given up.
void RedisSink::on_grace() {
  published_reply_.unlink();
  on_published(Error{Code::timeout, "Redis does not answer"});
}

void RedisSink::deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) {
  waiting_.push_back(reply);
  Messages messages;
  for (const RelayEvent &event : events) {
    if (event.hints.empty() || events.size() > static_cast<std::size_t>(kMostRich)) {
      add_thin(event, messages);
      continue;
    }
    for (const auto &hint : event.hints)
      messages.add(hint);
  }
  for (const RelayEvent &event : events)
    add_for_workers(event, messages);
  bus_.publish_all(messages.all(), published_reply_);
}

/// Event 1, a new job, has no hint: nobody waits for it but its user.
void RedisSink::add_thin(const RelayEvent &event, Messages &out) {
  if (event.seq > 1)
    out.add(redis::Bus::hint(event.job, event.seq, event.type));
  if (event.owner)
    out.add(redis::Bus::hint(wire::user_id(*event.owner), 0, "user"));
}

void RedisSink::add_for_workers(const RelayEvent &event, Messages &out) {
  if (core::kind_of(event.job) != core::Kind::job)
    return;
  if (event.type == "pending")
    out.add(redis::Bus::work(event.queue));
  if (event.state == "cancelled" || event.state == "expired")
    out.add(redis::Bus::cancel(event.job));
}

void RedisSink::on_published(Result<Done> outcome) {
  timer_->clear();
  if (core::Reply<Done> *reply = waiting_.pop_front())
    reply->deliver(std::move(outcome));
}

void RedisSink::check(core::Reply<Done> &reply) {
  waiting_.push_back(reply);
  check_soon();
}

/// A message for nobody: a server that accepts it accepts the others.
void RedisSink::check_soon() {
  if (!bus_.knows_servers()) {
    check_timer_->set(20);
    return;
  }
  Messages nothing;
  nothing.add({"await:check", "1"});
  bus_.publish_all(nothing.all(), published_reply_);
}

}  // namespace await::relay
