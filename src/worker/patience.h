#pragma once

#include <algorithm>
#include <cstdint>

#include "base/result.h"
#include "core/backoff.h"

namespace await::worker {

/// How long a statement for a job is repeated: for the time of the lease and a minute, because a lease that
/// has expired is still held until somebody looks.
class Patience {
 public:
  explicit Patience(std::int64_t lease_ms) : limit_ms_(lease_ms + 60'000) {}

  /// Whether a repeat can have another outcome.
  static bool is_passing(const Error &error) {
    return error.code != Code::invalid && error.code != Code::too_large;
  }
  /// A statement has failed. Returns false if the time is over.
  bool lasts(std::int64_t now) {
    if (since_ < 0)
      since_ = now;
    return now - since_ < limit_ms_;
  }
  std::int64_t pause_ms(double random) { return backoff_.next(random); }
  void reset() {
    since_ = -1;
    backoff_.reset();
  }

 private:
  std::int64_t limit_ms_;
  std::int64_t since_ = -1;
  core::Backoff backoff_{100, 1'000};
};

}  // namespace await::worker
