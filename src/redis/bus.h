#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/ports.h"
#include "redis/connection.h"

namespace await::redis {

/// core::Bus on Redis pub/sub. Job hints: channel "await:<shard>", message "1 <job> <seq> <type>". Work
/// hints for workers: channel "await:queue:<queue>", message "1". Two connections a Redis, one that
/// subscribes and one that publishes; with several Redis, each carries everything.
class Bus : public core::Bus {
 public:
  Bus(io::Loop &loop, io::Log &log, io::Random &random, const std::vector<Address> &addresses);
  ~Bus() override;

  /// Who hears the hints; set once, before start().
  void listen(core::Bus::Listener &listener) { listener_ = &listener; }
  void start();
  /// How many Redis can be heard.
  int ready() const;

  void subscribe(unsigned shard) override;
  void unsubscribe(unsigned shard) override;
  void publish(const Uuid &job, int seq, std::string_view type) override;
  void announce(std::string_view queue) override;

  /// For workers: calls `wake` whenever this queue is announced, and when a Redis (re)connects.
  void subscribe_queue(const std::string &queue, std::function<void()> wake);
  void publish_raw(std::string_view channel, std::string_view message);

 private:
  class Node;
  void heard(std::string_view channel, std::string_view message);
  void acknowledged(std::string_view channel);

  core::Bus::Listener *listener_ = nullptr;
  std::bitset<4096> shards_;
  std::set<std::string> queues_;
  std::function<void()> wake_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace await::redis
