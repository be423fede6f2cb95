#include "redis/bus.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <utility>

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

/// The two connections to a server, and what it refuses.
class Bus::Node {
 public:
  Node(Bus &bus, io::Loop &loop, io::Log &log, io::Random &random, const Address &address)
      : bus_(bus),
        loop_(loop),
        name_("Redis " + address_text(address)),
        outage_(loop, log),
        subscribe_outage_(loop, log),
        publish_outage_(loop, log),
        minor_outage_(loop, log),
        in(loop, random, outage_, address, in_observer_),
        out(loop, random, outage_, address, out_observer_) {}

  void subscribe(const std::string &channel) {
    if (in.ready())
      ++asked_;
    in.command({"SUBSCRIBE", channel});
  }
  void unsubscribe(const std::string &channel) {
    accepted_.erase(channel);
    in.command({"UNSUBSCRIBE", channel});
  }
  /// The commands that are sent from now on are a group …
  void begin_group() {
    group_ = Group::open;
    group_begin_ = out.sent();
    why_.clear();
  }
  /// … until now.
  void end_group() {
    group_end_ = out.sent();
    if (!out.ready()) {
      group_ = Group::failed;
      why_ = out.reason().empty() ? name_ + " is not connected yet" : out.reason();
    } else if (group_end_ == group_begin_) {
      group_ = Group::accepted;
    }
  }
  bool group_accepted() const { return group_ == Group::accepted; }
  bool group_failed() const { return group_ == Group::failed; }
  /// Why it was not accepted.
  const std::string &why() const { return why_; }

  bool subscribed() const { return in.ready() && answers_ && !not_subscribed_.failing(); }
  /// Why hints do not arrive; empty if they do.
  const std::string &problem() const { return in.ready() ? not_subscribed_.reason() : in.reason(); }

 private:
  static constexpr std::int64_t kQuietMs = 10'000;  // without a refusal: then it is over

  struct In : Connection::Observer {
    explicit In(Node &node) : node(node) {}
    void connected() override { node.on_connected(); }
    void replied(const redisReply &reply) override { node.on_reply(reply); }
    void on_refusal(std::string_view command, const std::string &error) override {
      node.on_in_refusal(command, error);
    }
    void on_ping() override {
      node.expect_answers();
      node.try_again();
    }
    Node &node;
  };
  struct Out : Connection::Observer {
    explicit Out(Node &node) : node(node) {}
    void connected() override {}
    void replied(const redisReply &reply) override { node.on_out_reply(reply); }
    void on_refusal(std::string_view command, const std::string &error) override {
      node.on_out_refusal(command, error);
    }
    void on_ping() override {}
    void on_loss() override { node.on_out_loss(); }
    Node &node;
  };
  enum class Group : std::uint8_t { none, open, accepted, failed };

  void on_connected() {
    accepted_.clear();
    asked_ = answered_ = 0;
    for (const std::string &channel : bus_.channels())
      subscribe(channel);
    due_ = asked_;
    answers_ = due_ == 0;
  }

  /// Redis answers each SUBSCRIBE, in their order.
  void on_answer() {
    ++answered_;
    answers_ = answers_ || answered_ >= due_;
  }

  /// Redis, or a proxy, may answer PING and nothing else. What was asked for before the last ping is late.
  void expect_answers() {
    if (answered_ < due_) {
      answered_ = asked_ = 0;  // they are lost
      not_subscribed_.fail(name_ +
                           " does not answer SUBSCRIBE, retrying (polling PostgreSQL meanwhile): timeout");
    }
    due_ = asked_;
  }

  void on_reply(const redisReply &reply) {
    if (reply.type == REDIS_REPLY_STATUS || reply.elements == 2)
      no_ping_.recover(name_ + " accepts PING again");
    if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3)
      return;
    std::string_view kind = text_of(reply.element[0]);
    if (kind == "message")
      bus_.heard(text_of(reply.element[1]), text_of(reply.element[2]));
    else if (kind == "subscribe")
      on_subscribed(text_of(reply.element[1]));
    else if (kind == "unsubscribe")
      no_unsubscribe_.recover(name_ + " accepts UNSUBSCRIBE again");
  }

  void on_subscribed(std::string_view channel) {
    accepted_.emplace(channel);
    on_answer();
    if (not_subscribed_.failing()) {
      auto missing = not_accepted();
      if (missing.empty())
        not_subscribed_.recover(name_ + " accepts SUBSCRIBE again");
      else if (std::exchange(trying_, false))
        for (const std::string &one : missing)
          subscribe(one);
    }
    bus_.acknowledged(channel);
  }

  void on_in_refusal(std::string_view command, const std::string &error) {
    if (command == "ping") {
      refuse_ping(error);
    } else if (command == "unsubscribe") {
      no_unsubscribe_.fail(name_ + " refuses UNSUBSCRIBE, subscriptions accumulate: " + error);
    } else {
      trying_ = false;
      on_answer();
      not_subscribed_.fail(name_ + " refuses SUBSCRIBE, retrying (polling PostgreSQL meanwhile): " + error);
    }
  }

  /// One of the subscriptions that were refused; if it is accepted, the others follow.
  void try_again() {
    if (!not_subscribed_.failing())
      return;
    auto missing = not_accepted();
    trying_ = !missing.empty();
    if (trying_)
      subscribe(missing.front());
    else
      not_subscribed_.recover(name_ + " accepts SUBSCRIBE again");
  }

  std::vector<std::string> not_accepted() const {
    auto missing = bus_.channels();
    std::erase_if(missing, [this](const std::string &one) { return accepted_.contains(one); });
    return missing;
  }

  /// Redis answers commands in their order.
  void on_out_answer() {
    if (group_ != Group::open || out.answered() < group_end_)
      return;
    group_ = why_.empty() ? Group::accepted : Group::failed;
    bus_.on_group();
  }

  void on_out_loss() {
    if (group_ != Group::open)
      return;
    group_ = Group::failed;
    why_ = out.reason();
    bus_.on_group();
  }

  void on_out_reply(const redisReply &reply) {
    on_out_answer();
    if (reply.type == REDIS_REPLY_STATUS)
      no_ping_.recover(name_ + " accepts PING again");
    else if (reply.type == REDIS_REPLY_INTEGER && loop_.monotonic_ms() - refused_ms_ >= kQuietMs)
      no_publish_.recover(name_ + " accepts PUBLISH again");
  }

  void on_out_refusal(std::string_view command, const std::string &error) {
    if (command == "ping") {
      refuse_ping(error);
      on_out_answer();
      return;
    }
    refused_ms_ = loop_.monotonic_ms();
    no_publish_.fail(name_ + " refuses PUBLISH, others learn of new jobs by polling PostgreSQL: " + error);
    if (group_ == Group::open && out.answered() > group_begin_)
      why_ = name_ + " refuses PUBLISH: " + error;
    on_out_answer();
  }

  void refuse_ping(const std::string &error) {
    no_ping_.fail(name_ + " refuses PING, which is used to detect a broken network: " + error);
  }

  Bus &bus_;
  io::Loop &loop_;
  std::string name_;
  io::Outage outage_;
  io::Outage subscribe_outage_;
  io::Outage publish_outage_;
  io::Outage minor_outage_;
  io::Outage::Part not_subscribed_{subscribe_outage_};
  io::Outage::Part no_publish_{publish_outage_};
  io::Outage::Part no_ping_{minor_outage_};
  io::Outage::Part no_unsubscribe_{minor_outage_};
  std::set<std::string, std::less<>> accepted_;  // channels
  bool trying_ = false;                          // a subscription that was refused was sent again
  std::uint64_t asked_ = 0;                      // subscriptions, on this connection
  std::uint64_t answered_ = 0;                   // of these, accepted or refused
  std::uint64_t due_ = 0;                        // so many should have been answered by now
  bool answers_ = false;                         // those at the beginning of the connection were answered
  std::int64_t refused_ms_ = 0;                  // the last PUBLISH
  Group group_ = Group::none;
  std::uint64_t group_begin_ = 0;  // as Connection::sent()
  std::uint64_t group_end_ = 0;
  std::string why_;  // it was not accepted
  In in_observer_{*this};
  Out out_observer_{*this};

 public:
  Connection in;
  Connection out;
};

Bus::Bus(io::Loop &loop, io::Log &log, io::Random &random, const std::vector<Address> &addresses)
    : loop_(loop) {
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

int Bus::subscribed() const {
  int n = 0;
  for (const auto &node : nodes_)
    n += node->subscribed() ? 1 : 0;
  return n;
}

std::vector<Bus::Problem> Bus::problems() const {
  std::vector<Problem> out;
  for (const auto &node : nodes_) {
    if (!node->subscribed())
      out.push_back({node->in.ready(), node->problem()});
  }
  return out;
}

bool Bus::knows_servers() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const auto &node) { return node->out.ready() || !node->out.reason().empty(); });
}

bool Bus::ready(std::size_t server) const { return nodes_[server]->in.ready(); }

void Bus::move(std::size_t server, const std::string &host) {
  nodes_[server]->in.move(host);
  nodes_[server]->out.move(host);
}

void Bus::subscribe(unsigned shard) {
  shards_.set(shard);
  for (auto &node : nodes_)
    node->subscribe(shard_channel(shard));
}

void Bus::unsubscribe(unsigned shard) {
  shards_.reset(shard);
  for (auto &node : nodes_)
    node->unsubscribe(shard_channel(shard));
}

/// All that should be subscribed.
std::vector<std::string> Bus::channels() const {
  std::vector<std::string> out;
  if (listener_ != nullptr)
    out.emplace_back(kRevoked);
  if (cancelled_)
    out.emplace_back(kCancelled);
  for (const std::string &queue : queues_)
    out.push_back(std::string(kQueuePrefix) + queue);
  for (unsigned shard = 0; shard < shards_.size(); ++shard) {
    if (shards_[shard])
      out.push_back(shard_channel(shard));
  }
  return out;
}

void Bus::publish(const Uuid &job, int seq, std::string_view type) {
  auto [channel, message] = hint(job, seq, type);
  publish_raw(channel, message);
  if (type == "cancelled")
    publish_raw(kCancelled, job.text());
}

void Bus::announce(std::string_view queue) {
  auto [channel, message] = work(queue);
  publish_raw(channel, message);
}

Bus::Message Bus::hint(const Uuid &job, int seq, std::string_view type) {
  return {shard_channel(job.shard()), core::write_hint(job, seq, type)};
}

Bus::Message Bus::work(std::string_view queue) {
  return {std::string(kQueuePrefix) + std::string(queue), "1"};
}

Bus::Message Bus::cancel(const Uuid &job) { return {std::string(kCancelled), job.text()}; }

void Bus::publish_all(std::span<const Message> messages, core::Reply<Done> &reply) {
  while (waiting_.pop_front() != nullptr) {
  }
  waiting_.push_back(reply);
  for (auto &node : nodes_)
    node->begin_group();
  for (const auto &[channel, message] : messages)
    publish_raw(channel, message);
  for (auto &node : nodes_)
    node->end_group();
  on_group();
}

/// One that has accepted the group will do; all that have not, say why.
void Bus::answer() {
  std::string why;
  bool accepted = false;
  bool open = false;
  for (const auto &node : nodes_) {
    accepted = accepted || node->group_accepted();
    open = open || !(node->group_accepted() || node->group_failed());
    why += (why.empty() || node->why().empty() ? "" : "; ") + node->why();
  }
  core::Reply<Done> *reply = accepted || !open ? waiting_.pop_front() : nullptr;
  if (reply == nullptr)
    return;
  if (accepted)
    reply->deliver(Done{});
  else
    reply->deliver(Error{Code::unavailable, why});
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
