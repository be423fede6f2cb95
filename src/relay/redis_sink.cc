#include "relay/redis_sink.h"

#include <set>
#include <string_view>

#include "core/kind.h"
#include "pg/call.h"
#include "pg/statements.h"
#include "wire/channel.h"

namespace await::relay {
namespace {

std::string why_not(const redis::Bus &bus) {
  std::vector<redis::Bus::Problem> problems = bus.problems();
  return problems.empty() || problems.front().reason.empty() ? "Redis is not connected yet"
                                                             : problems.front().reason;
}

}  // namespace

void RedisSink::deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) {
  waiting_.push_back(reply);
  events_ = events;
  read_hints();
}

/// Also where the hints will be thin: the answer comes after deliver() has returned.
void RedisSink::read_hints() {
  pg::ArrayWriter ids(pg::kUuid);
  pg::ArrayWriter seqs(pg::kInt4);
  if (events_.size() <= kMostRich && bus_.ready() > 0) {
    for (const RelayEvent &event : events_) {
      ids.uuid(event.job);
      seqs.int4(event.seq);
    }
  }
  pg::Params params;
  params.array(pg::kUuidArray, std::move(ids)).array(pg::kInt4Array, std::move(seqs));
  reads_.send(std::make_unique<pg::Call<Hints>>(pg::statements::kEventHints, std::move(params), hints_reply_,
                                                decode));
}

Result<RedisSink::Hints> RedisSink::decode(const pg::Rows &rows, std::size_t) {
  Hints out;
  for (int row = 0; row < rows.count(); ++row)
    out.emplace_back(rows.text(row, 0), rows.text(row, 1));
  return out;
}

void RedisSink::on_hints(Result<Hints> hints) {
  core::Reply<Done> *reply = waiting_.pop_front();
  if (reply == nullptr)
    return;
  if (bus_.ready() == 0) {
    reply->deliver(Error{Code::unavailable, why_not(bus_)});
    return;
  }
  if (events_.size() > kMostRich || !hints) {
    publish_thin();
  } else {
    std::set<std::pair<std::string, std::string>> said;  // of a user, the same for each event
    for (auto &[channel, message] : *hints) {
      if (said.emplace(channel, message).second)
        bus_.publish_raw(channel, message);
    }
  }
  tell_workers();
  reply->deliver(Done{});
}

void RedisSink::publish_thin() {
  std::set<std::string_view> owners;
  for (const RelayEvent &event : events_) {
    if (event.seq > 1)
      bus_.publish(event.job, event.seq, event.type);
    if (event.owner)
      owners.insert(*event.owner);
  }
  for (std::string_view owner : owners)
    bus_.publish(wire::user_id(owner), 0, "user");
}

void RedisSink::tell_workers() {
  std::set<std::string_view> queues;
  for (const RelayEvent &event : events_) {
    if (core::kind_of(event.job) != core::Kind::job)
      continue;
    if (event.type == "pending")
      queues.insert(event.queue);
    if (event.state == "cancelled" || event.state == "expired")
      bus_.publish_raw("await:cancel", event.job.text());
  }
  for (std::string_view queue : queues)
    bus_.announce(queue);
}

void RedisSink::check(core::Reply<Done> &reply) {
  waiting_.push_back(reply);
  events_ = {};
  read_hints();
}

}  // namespace await::relay
