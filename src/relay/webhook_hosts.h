#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace await::relay {

/// How many deliveries each host may get: so many at the same time, so many a second, and few while it fails,
/// so that a slow or broken one costs the others nothing. A host begins with one at the same time, and may
/// have twice as many with each answer. Hosts that have not been tried share half of all that may be sent at
/// the same time, and those that answered slowly or not in time, a quarter: many that hang stop nobody else.
class WebhookHosts {
 public:
  struct Limits {
    int at_once = 8;
    int a_second = 100;
    int all_at_once = 256;
  };
  /// A host that does not have the room of an unknown one, or of which the beginning of its line is known.
  struct Known {
    std::string host;
    int room = 0;               ///< for so many more
    std::int64_t since_us = 0;  ///< no delivery was due before
  };
  enum class Trouble : std::uint8_t {
    of_url,  ///< what came was not good; others of the host may be
    slow,    ///< it did not answer in time
    away,    ///< it cannot be reached
  };

  explicit WebhookHosts(Limits limits) : limits_(limits) {}

  /// The room of a host that nothing is known of.
  static constexpr int kRoomOfUnknown = 1;
  std::vector<Known> known(std::int64_t now_ms);
  /// How many more may be sent to all hosts now.
  int room() const { return limits_.all_at_once - std::accumulate(in_flight_.begin(), in_flight_.end(), 0); }
  /// Whether one more may be sent now.
  bool has_room(const std::string &host, std::int64_t now_ms);
  /// Follows has_room().
  void started(const std::string &host);
  /// A response has come.
  /// @param pause_ms  for which the host wants no more; 0: it does
  /// @param took_ms  from the request to its end
  /// @return whether the host had failed so often that that was told
  bool answered(const std::string &host, std::int64_t now_ms, std::int64_t pause_ms,
                std::int64_t took_ms = 0);
  /// There was no response.
  /// @return whether that is to be told: it could not be reached three times in a row
  bool failed(const std::string &host, std::int64_t now_ms, Trouble trouble);
  /// The first delivery of the host that was read was due then.
  void saw(const std::string &host, std::int64_t due_us);
  /// Whether a host only waits for its rate.
  bool throttled() const;
  /// Reads all of all lines again, and forgets hosts that have nothing to be known.
  void forget(std::int64_t now_ms);

 private:
  static constexpr int kFailing = 3;
  static constexpr std::int64_t kMostPauseMs = 60'000;
  static constexpr std::int64_t kSlowMs = 2'000;        // an answer that takes so long is a slow one
  static constexpr std::int64_t kSlowForMs = 60'000;    // and its host counts as slow for so long
  static constexpr std::int64_t kSilentMs = 3'600'000;  // for so long it is known that a host was silent
  static constexpr std::int64_t kSlackUs = 60'000'000;  // for transactions that commit late

  enum class State : std::uint8_t { untried, answers, silent };  // or slow
  static constexpr std::size_t kStates = 3;
  struct Host {
    State state = State::untried;
    int in_flight = 0;
    int allowed = kRoomOfUnknown;
    int failures = 0;  // in a row
    std::int64_t used_ms = 0;
    std::int64_t slow_until_ms = 0;
    std::int64_t paused_until_ms = 0;
    std::int64_t since_us = 0;
    double tokens = 0;
    std::int64_t filled_ms = 0;
  };
  Host &host(const std::string &name, std::int64_t now_ms);
  int room(const Host &host, std::int64_t now_ms) const;
  void fill(Host &host, std::int64_t now_ms) const;
  int most_of(State state) const;
  int &in_flight(State state) { return in_flight_[static_cast<std::size_t>(state)]; }
  void set_state(Host &host, State state);
  Host &ended(const std::string &name, std::int64_t now_ms);

  Limits limits_;
  std::map<std::string, Host> hosts_;
  std::array<int, kStates> in_flight_{};  // by the state of the host
};

}  // namespace await::relay
