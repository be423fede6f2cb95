#include "redis/bus.h"

#include <hiredis/hiredis.h>

#include "base/text.h"
#include "core/hint.h"

namespace await::redis {
namespace {

constexpr std::string_view kShardPrefix = "await:";
constexpr std::string_view kQueuePrefix = "await:queue:";
constexpr std::string_view kRevoked = "await:revoked";
constexpr std::string_view kCancelled = "await:cancel";

std::string shard_channel(unsigned shard) { return std::string(kShardPrefix) + std::to_string(shard); }

std::string_view text_of(const redisReply *reply) {
  return reply->type == REDIS_REPLY_STRING ? std::string_view(reply->str, reply->len) : std::string_view();
}

}  // namespace

class Bus::Node {
 public:
  Node(Bus &bus, io::Loop &loop, io::Log &log, io::Random &random, const Address &address)
      : in_observer_(bus, *this),
        in(loop, log, random, address, in_observer_),
        out(loop, quiet_, random, address, out_observer_) {}

 private:
  struct In : Connection::Observer {
    In(Bus &bus, Node &node) : bus_(bus), node_(node) {}
    void connected() override {
      for (unsigned shard = 0; shard < 4096; ++shard) {
        if (bus_.shards_[shard])
          node_.in.command({"SUBSCRIBE", shard_channel(shard)});
      }
      if (bus_.listener_ != nullptr)
        node_.in.command({"SUBSCRIBE", kRevoked});
      if (bus_.cancelled_)
        node_.in.command({"SUBSCRIBE", kCancelled});
      for (const std::string &queue : bus_.queues_)
        node_.in.command({"SUBSCRIBE", std::string(kQueuePrefix) + queue});
    }
    void replied(const redisReply &reply) override {
      if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3)
        return;
      std::string_view kind = text_of(reply.element[0]);
      if (kind == "message")
        bus_.heard(text_of(reply.element[1]), text_of(reply.element[2]));
      else if (kind == "subscribe")
        bus_.acknowledged(text_of(reply.element[1]));
    }
    Bus &bus_;
    Node &node_;
  };
  struct Out : Connection::Observer {
    void connected() override {}
    void replied(const redisReply &) override {}
  };
  struct Quiet : io::Log {  // the other connection already logs the failure
    void info(std::string_view) override {}
    void error(std::string_view) override {}
  };
  In in_observer_;
  Out out_observer_;
  Quiet quiet_;

 public:
  Connection in;
  Connection out;
};

Bus::Bus(io::Loop &loop, io::Log &log, io::Random &random, const std::vector<Address> &addresses) {
  for (const Address &address : addresses)
    nodes_.push_back(std::make_unique<Node>(*this, loop, log, random, address));
}

Bus::~Bus() = default;

void Bus::start() {
  for (auto &node : nodes_) {
    node->in.start();
    node->out.start();
  }
}

int Bus::ready() const {
  int n = 0;
  for (const auto &node : nodes_)
    n += node->in.ready() ? 1 : 0;
  return n;
}

bool Bus::ready(std::size_t server) const { return nodes_[server]->in.ready(); }

void Bus::move(std::size_t server, const std::string &host) {
  nodes_[server]->in.move(host);
  nodes_[server]->out.move(host);
}

void Bus::subscribe(unsigned shard) {
  shards_.set(shard);
  for (auto &node : nodes_)
    node->in.command({"SUBSCRIBE", shard_channel(shard)});
}

void Bus::unsubscribe(unsigned shard) {
  shards_.reset(shard);
  for (auto &node : nodes_)
    node->in.command({"UNSUBSCRIBE", shard_channel(shard)});
}

void Bus::publish(const Uuid &job, int seq, std::string_view type) {
  publish_raw(shard_channel(job.shard()), core::write_hint(job, seq, type));
  if (type == "cancelled")
    publish_raw(kCancelled, job.text());
}

void Bus::announce(std::string_view queue) {
  publish_raw(std::string(kQueuePrefix) + std::string(queue), "1");
}

void Bus::publish_raw(std::string_view channel, std::string_view message) {
  for (auto &node : nodes_)
    node->out.command({"PUBLISH", channel, message});
}

void Bus::subscribe_queue(const std::string &queue, std::function<void()> wake) {
  queues_.insert(queue);
  wake_ = std::move(wake);
}

void Bus::subscribe_cancels(std::function<void(std::string_view)> cancelled) {
  cancelled_ = std::move(cancelled);
}

void Bus::heard(std::string_view channel, std::string_view message) {
  if (channel.starts_with(kQueuePrefix)) {
    if (wake_)
      wake_();
    return;
  }
  if (channel == kCancelled) {
    if (cancelled_)
      cancelled_(message);
    return;
  }
  if (channel == kRevoked) {
    if (listener_ != nullptr)
      listener_->on_revocation();
    return;
  }
  auto hint = core::read_hint(message);
  if (hint && listener_ != nullptr)
    listener_->on_hint(*hint);
}

void Bus::acknowledged(std::string_view channel) {
  if (channel.starts_with(kQueuePrefix)) {
    if (wake_)
      wake_();
    return;
  }
  if (channel == kCancelled) {
    if (cancelled_)
      cancelled_({});
    return;
  }
  auto shard = parse_number(channel.substr(std::min(channel.size(), kShardPrefix.size())), 4095);
  if (shard && listener_ != nullptr)
    listener_->on_subscription(static_cast<unsigned>(*shard));
}

}  // namespace await::redis
