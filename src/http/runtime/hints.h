#pragma once

#include <set>
#include <string>

#include "core/batch_news.h"
#include "core/hub.h"

namespace await::http {

class SigningKeys;
class Lifecycle;

/// Passes the hints of the bus to the hub. A hint with a valid signature of the database is an update; any
/// other hint is only a reason to read.
class Hints : public core::Bus::Listener {
 public:
  Hints(core::Hub &hub, SigningKeys &keys, Lifecycle &lifecycle, core::BatchNews &batch_news)
      : hub_(hub), keys_(keys), lifecycle_(lifecycle), batch_news_(batch_news) {}

  void on_hint(const core::Hint &hint) override;
  void on_subscription(unsigned shard) override { hub_.on_subscription(shard); }
  void on_revocation() override;

 private:
  core::Hub &hub_;
  SigningKeys &keys_;
  Lifecycle &lifecycle_;
  core::BatchNews &batch_news_;
};

/// The hints that jobs of a user have changed, published by this nginx worker. Many jobs may change in one
/// iteration of the event loop; their owner is published once.
class UserHints {
 public:
  UserHints(core::Bus &bus, core::Scheduler &scheduler) : bus_(bus), scheduler_(scheduler) {}

  /// Publishes at the end of this iteration.
  void publish_soon(const std::string &owner) {
    owners_.insert(owner);
    scheduler_.run_soon();
  }
  void run();

 private:
  core::Bus &bus_;
  core::Scheduler &scheduler_;
  std::set<std::string> owners_;
};

}  // namespace await::http
