#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::core {

/// How far a sink of await-relay has come, as await.relay_status() says. A plain object, so that it can be in
/// shared memory.
struct RelayStats {
  static constexpr std::size_t kLongestName = 64;
  std::array<char, kLongestName> relay_bytes;
  std::size_t relay_size;
  std::array<char, kLongestName> sink_bytes;
  std::size_t sink_size;
  std::int64_t led;     ///< 1: a relay leads
  std::int64_t behind;  ///< events that are to be delivered; -1: its cursor cannot be read
  std::int64_t lag_ms;  ///< for so long the next of them waits
  std::int64_t delivered;
  std::int64_t failures;
  std::string_view relay() const { return {relay_bytes.data(), relay_size}; }
  std::string_view sink() const { return {sink_bytes.data(), sink_size}; }
};

/// What became of the deliveries of webhooks, as await.delivery_stats() says.
struct DeliveryStats {
  std::int64_t delivered;
  std::int64_t failed;  ///< attempts
  std::int64_t dead;
  std::int64_t waiting;   ///< for their first attempt
  std::int64_t retrying;  ///< for another one
};

}  // namespace await::core
