#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace await::core {

/// One watcher of one job, reduced to its arithmetic: what it has seen, what it was told, and whether
/// to read now. Hints may be lost, late, doubled or forged; reads are the truth.
class ReadScheduler {
 public:
  /// What to do next: nothing; read now; read again after `delay_ms`.
  struct Action {
    enum What { nothing, read, retry } what;
    std::int64_t delay_ms = 0;
  };

  explicit ReadScheduler(int seen = 0) : seen_(seen) {}

  int seen() const { return seen_; }

  /// Somebody says that event `seq` exists (0: it does not know which).
  Action hinted(int seq) {
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

  /// Whether an event that is proved may be taken for a read: it is news, and no read is under way.
  bool may_take(int seq) const { return !reading_ && seq > seen_; }

  /// Read now; or once more, if a read is under way that may have begun too early.
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

  /// A read has come back: the watcher has now seen `seen`, the job's newest event is `last`. A read
  /// older than the hint (a hint sent before its commit, or forged) is tried again a few times.
  Action read_done(int seen, int last) {
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
      hinted_ = last;  // a lie, or far too early: the re-read will find it
      // but what the lie has hidden may be true
      return hinted_meanwhile_ ? read_now() : Action{Action::nothing};
    }
    return {Action::retry, kDelays[tries_++]};
  }

  /// A read has failed. What it was to find may never be told again, so it is tried again, in a while.
  Action read_failed() {
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
  bool hinted_meanwhile_ = false;  // of something unseen, while the read was under way
  std::uint8_t tries_ = 0;
};

}  // namespace await::core
