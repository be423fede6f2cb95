#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace await::relay {

/// How many deliveries each host may get: so many at the same time, so many a second, and few while it fails,
/// so that a slow or broken one costs the others nothing. Hosts that nothing is known of have room for
/// `at_once`.
class WebhookHosts {
 public:
  struct Limits {
    int at_once = 8;
    int a_second = 100;
  };
  /// A host that does not have the room of an unknown one, or of which the beginning of its line is known.
  struct Known {
    std::string host;
    int rows = 0;               ///< of its deliveries that are to be read, with those in flight
    std::int64_t since_us = 0;  ///< no delivery was due before
  };

  explicit WebhookHosts(Limits limits) : limits_(limits) {}

  std::vector<Known> known(std::int64_t now_ms);
  /// Whether one more may be sent now.
  bool has_room(const std::string &host, std::int64_t now_ms);
  void started(const std::string &host);
  /// A response has come.
  /// @param pause_ms  for which the host wants no more; 0: it does
  /// @return whether the host had failed so often that that was told
  bool answered(const std::string &host, std::int64_t now_ms, std::int64_t pause_ms);
  /// There was no response.
  /// @param down  it cannot be reached; if not, that may be because of the one URL
  /// @return whether that is to be told: it could not be reached three times in a row
  bool failed(const std::string &host, std::int64_t now_ms, bool down);
  /// The first delivery of the host that was read was due then.
  void saw(const std::string &host, std::int64_t due_us);
  /// Whether a host only waits for its rate.
  bool throttled() const;
  /// Reads all of all lines again, and forgets hosts that have nothing to be known.
  void forget(std::int64_t now_ms);

 private:
  static constexpr int kFailing = 3;
  static constexpr std::int64_t kMostPauseMs = 60'000;
  static constexpr std::int64_t kSlackUs = 60'000'000;  // for transactions that commit late

  struct Host {
    int in_flight = 0;
    int failures = 0;  // in a row
    std::int64_t paused_until_ms = 0;
    std::int64_t since_us = 0;
    double tokens = 0;
    std::int64_t filled_ms = 0;
  };
  Host &host(const std::string &name, std::int64_t now_ms);
  int most(const Host &host) const { return host.failures >= kFailing ? 1 : limits_.at_once; }
  void fill(Host &host, std::int64_t now_ms) const;

  Limits limits_;
  std::map<std::string, Host> hosts_;
};

}  // namespace await::relay
