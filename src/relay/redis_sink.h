#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pg/connection.h"
#include "pg/rows.h"
#include "redis/bus.h"
#include "relay/sink.h"

namespace await::relay {

/// Publishes hints on Redis, for workers that publish none: to the edges, that a job has a new event; to idle
/// workers, that a queue has a job; to the worker of a job, that it was cancelled. Few events at a time get
/// the hints of await.hint(), with the event in them, so that edges answer their clients without a read; many
/// at a time, as after an outage, get thin ones.
class RedisSink : public Sink {
 public:
  RedisSink(pg::Connection &reads, redis::Bus &bus) : reads_(reads), bus_(bus) {}

  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  void check(core::Reply<Done> &reply) override;

 private:
  static constexpr std::size_t kMostRich = 64;
  using Hints = std::vector<std::pair<std::string, std::string>>;

  static Result<Hints> decode(const pg::Rows &rows, std::size_t);
  void read_hints();
  void on_hints(Result<Hints> hints);
  void publish_thin();
  void tell_workers();

  pg::Connection &reads_;
  redis::Bus &bus_;
  std::span<const RelayEvent> events_;
  List<core::Reply<Done>> waiting_;
  core::Reply<Hints> hints_reply_ = core::Reply<Hints>::to<&RedisSink::on_hints>(this);
};

}  // namespace await::relay
