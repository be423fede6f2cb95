#pragma once

#include <memory>
#include <set>
#include <vector>

#include "io/loop.h"
#include "redis/bus.h"
#include "relay/sink.h"

namespace await::relay {

/// Publishes hints on Redis, for workers that publish none: to the edges, that a job has a new event; to idle
/// workers, that a queue has a job; to the worker of a job, that it was cancelled. Few events at a time get
/// the hints of await.hint(), with the event in them, so that edges answer their clients without a read; many
/// at a time, as after an outage, get thin ones.
///
/// A page is delivered when Redis has answered all of it: what was on its way when a connection broke is
/// published again.
class RedisSink : public Sink {
 public:
  RedisSink(io::Loop &loop, redis::Bus &bus)
      : bus_(bus),
        timer_(loop.timer([this] { on_grace(); }, io::Loop::Quit::may)),
        check_timer_(loop.timer([this] { check_soon(); }, io::Loop::Quit::may)) {}

  void lead(bool leads) override;
  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  int most_hints() const override { return kMostRich; }
  void check(core::Reply<Done> &reply) override;

 private:
  static constexpr int kMostRich = 64;
  static constexpr std::int64_t kGraceMs = 500;  // of a page, when the lead is lost

  /// What is to be published of a page; the same message, as that of a user, once.
  class Messages {
   public:
    void add(redis::Bus::Message message) {
      if (said_.insert(message).second)
        all_.push_back(std::move(message));
    }
    const std::vector<redis::Bus::Message> &all() const { return all_; }

   private:
    std::set<redis::Bus::Message> said_;
    std::vector<redis::Bus::Message> all_;
  };

  static void add_thin(const RelayEvent &event, Messages &out);
  static void add_for_workers(const RelayEvent &event, Messages &out);
  void on_published(Result<Done> outcome);
  void on_grace();
  void check_soon();

  redis::Bus &bus_;
  std::unique_ptr<io::Timer> timer_;
  std::unique_ptr<io::Timer> check_timer_;
  List<core::Reply<Done>> waiting_;
  core::Reply<Done> published_reply_ = core::Reply<Done>::to<&RedisSink::on_published>(this);
};

}  // namespace await::relay
