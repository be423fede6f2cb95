#pragma once

#include <span>
#include <string>

#include "core/hub.h"
#include "wire/signed_hint.h"

namespace await::http {

class Process;

/// Between the bus and the hub: believes what is signed with the database's own key, and takes the rest as a
/// reason to look.
class Hints : public core::Bus::Listener {
 public:
  Hints(core::Hub &hub, Process &process) : hub_(hub), process_(process) {}

  /// As the database said when the connection opened.
  void learn(std::string timeline, std::span<const std::string> keys) {
    timeline_ = std::move(timeline);
    verifier_.learn(keys);
  }
  void hinted(const core::Hint &hint) override;
  void subscribed(unsigned shard) override { hub_.subscribed(shard); }
  void revoked() override;

 private:
  core::Hub &hub_;
  Process &process_;
  std::string timeline_;
  wire::Verifier verifier_;
};

}  // namespace await::http
