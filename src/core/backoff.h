#pragma once

#include <algorithm>
#include <cstdint>

namespace await::core {

/// Exponential back-off with full jitter above the half.
class Backoff {
 public:
  Backoff(std::int64_t min_ms, std::int64_t max_ms) : min_(min_ms), max_(max_ms), next_(min_ms) {}

  /// @param random  0 … 1
  /// The next pause in milliseconds: between half and all of a bound that doubles up to `max_ms`.
  std::int64_t next(double random) {
    auto bound = next_;
    next_ = std::min(max_, next_ * 2);
    auto half = bound / 2;
    return half + static_cast<std::int64_t>(static_cast<double>(bound - half) * random);
  }
  void reset() { next_ = min_; }

 private:
  std::int64_t min_;
  std::int64_t max_;
  std::int64_t next_;
};

}  // namespace await::core
