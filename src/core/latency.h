#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace await::core {

/// How many durations were in which bucket; the last one has what is longer than all bounds.
struct Latency {
  static constexpr std::array<std::int64_t, 12> kBoundsMs = {1,   2,   5,   10,   20,   50,
                                                             100, 200, 500, 1000, 2000, 5000};
  static constexpr std::size_t kBuckets = kBoundsMs.size() + 1;

  static constexpr std::size_t bucket(std::int64_t ms) {
    std::size_t at = 0;
    while (at < kBoundsMs.size() && ms > kBoundsMs[at])
      ++at;
    return at;
  }

  std::array<std::int64_t, kBuckets> counts{};
};

}  // namespace await::core
