#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::core {

/// How many durations were in which bucket, by the bounds of await.buckets(). The last one has what is
/// longer.
struct Histogram {
  static constexpr std::size_t kBuckets = 13;
  std::array<std::int64_t, kBuckets> counts;
  std::int64_t sum_ms;
};

/// What waits in a queue and what has happened in it, as await.queue_stats() says. A plain object, so that it
/// can be in shared memory.
struct QueueStats {
  static constexpr std::size_t kLongestName = 64;
  std::array<char, kLongestName> name_bytes;
  std::size_t name_size;  ///< 0: the queues that are not listed, all together, without counts
  std::int64_t ready;
  std::int64_t delayed;
  std::int64_t leased;
  std::int64_t oldest_ms;
  std::int64_t completed;
  std::int64_t failed;
  std::int64_t cancelled;
  std::int64_t expired;
  std::int64_t retries;
  Histogram wait;
  Histogram run;
  Histogram total;
  std::int64_t paused;       ///< 1: nobody gets its jobs
  std::int64_t reap_lag_ms;  ///< of all queues: the same in every row
  std::string_view name() const { return {name_bytes.data(), name_size}; }
};

}  // namespace await::core
