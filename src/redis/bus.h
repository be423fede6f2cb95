#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/ports.h"
#include "redis/connection.h"

namespace await::redis {

/// core::Bus on Redis pub/sub. Hints on jobs use the channel "await:<shard>" and the message "1 <job> <seq>
/// <type>". Hints for workers use the channel "await:queue:<queue>" and the message "1". The id of a
/// cancelled job is published on "await:cancel". Each Redis server
/// has two connections, one to subscribe and one to publish. Every message is sent through all servers.
class Bus : public core::Bus {
 public:
  Bus(io::Loop &loop, io::Log &log, io::Random &random, const std::vector<Address> &addresses);
  ~Bus() override;

  /// Sets the listener for hints. Call once, before start().
  void listen(core::Bus::Listener &listener) { listener_ = &listener; }
  void start();
  /// The number of Redis servers with an established subscriber connection.
  int ready() const;
  /// Of these, the number of servers that have accepted all subscriptions.
  int subscribed() const;
  /// Why hints do not arrive from a server.
  struct Problem {
    bool connected;      ///< so it is the subscriptions that it refuses
    std::string reason;  ///< as it was logged
  };
  /// One for each such server.
  std::vector<Problem> problems() const;
  /// @param server  its index in the addresses
  bool ready(std::size_t server) const;
  /// From now on connects to this numeric address.
  void move(std::size_t server, const std::string &host);

  void subscribe(unsigned shard) override;
  void unsubscribe(unsigned shard) override;
  void publish(const Uuid &job, int seq, std::string_view type) override;
  void announce(std::string_view queue) override;

  /// For workers: calls `wake` when there is work in this queue, and when a Redis server (re)connects.
  void subscribe_queue(const std::string &queue, std::function<void()> wake);
  /// For workers: calls `cancelled` with the id of each job that was cancelled, and with an empty one when a
  /// Redis server (re)connects, because cancels may have been missed.
  void subscribe_cancels(std::function<void(std::string_view job)> cancelled);
  void publish_raw(std::string_view channel, std::string_view message);

  /// Whether it is known of each server if it can be published through.
  bool knows_servers() const;
  /// To be published: channel and message.
  using Message = std::pair<std::string, std::string>;
  static Message hint(const Uuid &job, int seq, std::string_view type);
  static Message work(std::string_view queue);
  static Message cancel(const Uuid &job);
  /// Publishes all of these, and calls back when a server has accepted each of them, which is enough:
  /// subscribers are connected to all. The others get them as far as they can. One group at a time; one that
  /// is given before the reply takes the place of the one before. Errors: unavailable, with what each server
  /// has said, or why its connection was lost.
  void publish_all(std::span<const Message> messages, core::Reply<Done> &reply);

 private:
  class Node;
  class AnswerTask : public io::Task {
   public:
    explicit AnswerTask(Bus &bus) : bus_(bus) {}
    void run() noexcept override { bus_.answer(); }

   private:
    Bus &bus_;
  };

  std::vector<std::string> channels() const;
  void on_group() {
    if (!answer_task_.linked())
      loop_.post(answer_task_);
  }
  void answer();
  void heard(std::string_view channel, std::string_view message);
  void acknowledged(std::string_view channel);

  io::Loop &loop_;
  core::Bus::Listener *listener_ = nullptr;
  std::bitset<4096> shards_;
  std::set<std::string> queues_;
  std::function<void()> wake_;
  std::function<void(std::string_view)> cancelled_;
  std::vector<std::unique_ptr<Node>> nodes_;
  List<core::Reply<Done>> waiting_;  // for the answers to a group
  AnswerTask answer_task_{*this};
};

}  // namespace await::redis
