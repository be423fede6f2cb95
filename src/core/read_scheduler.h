#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace await::core {

/// Decides when a watcher reads its job, from what it has seen and from hints. Hints may be lost, late,
/// duplicated or forged; only reads count as seen. No clock, no I/O.
class ReadScheduler {
 public:
  /// What the caller must do: nothing, read now, or call read_now() after `delay_ms`.
  struct Action {
    enum What { nothing, read, retry } what;
    std::int64_t delay_ms = 0;
  };

  explicit ReadScheduler(int seen = 0) : seen_(seen) {}

  int seen() const { return seen_; }

  /// A hint: event `seq` may exist (0: an unknown event).
  Action on_hint(int seq) {
    if (seq == 0)
      return read_now();
    if (seq <= seen_)
      return {Action::nothing};
    hinted_meanwhile_ = reading_;
    if (seq <= hinted_)
      return {Action::nothing};
    // mutant: hint-is-not-seen
    hinted_ = seq;
    tries_ = 0;
    return read_now();
  }

  /// Whether a verified event may be used instead of a read: it was not seen, and no read is in flight.
  bool may_take(int seq) const { return !reading_ && seq > seen_; }

  /// Reads now. If a read is in flight, which may be too early, reads once more after it.
  Action read_now() {
    if (reading_) {
      // mutant: hint-during-read
      again_ = true;
      return {Action::nothing};
    }
    reading_ = true;
    hinted_meanwhile_ = false;
    return {Action::read};
  }

  /// A read has returned: the watcher has now seen `seen`, and the newest event of the job is `last`. If that
  /// is older than a hint (which was sent before its commit, or is forged), the read is retried four times.
  Action on_read(int seen, int last) {
    reading_ = false;
    seen_ = std::max(seen_, seen);
    // mutant: more-to-read
    if (again_ || last > seen_) {
      again_ = false;
      return read_now();
    }
    // mutant: hint-before-commit
    if (hinted_ <= last)
      return {Action::nothing};
    if (tries_ == kDelays.size()) {
      hinted_ = last;  // forged, or far too early: the periodic read will find it
      // but a genuine hint may have come meanwhile
      return hinted_meanwhile_ ? read_now() : Action{Action::nothing};
    }
    return {Action::retry, kDelays[tries_++]};
  }

  /// A read has failed. There may be no other hint, so it is retried.
  Action on_read_error() {
    reading_ = again_ = false;
    hinted_ = seen_;
    // mutant: retry-after-failure
    return {Action::retry, kAfterFailure};
  }

 private:
  static constexpr std::array<std::int64_t, 4> kDelays = {2, 10, 50, 250};
  static constexpr std::int64_t kAfterFailure = 1000;
  int seen_;
  int hinted_ = 0;
  bool reading_ = false;
  bool again_ = false;
  bool hinted_meanwhile_ = false;  // a hint of an unseen event has come during the read
  std::uint8_t tries_ = 0;
};

}  // namespace await::core
