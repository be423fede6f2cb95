#pragma once

#include <cstdint>

#include "base/list.h"
#include "core/ports.h"

namespace await::core {

struct IsRetry {};

/// An entry of a RetryQueue. Destroying it removes it.
class Retry : public Hook<IsRetry> {
 public:
  /// It is due, and no longer in the queue. May destroy itself, but no other entry.
  virtual void on_retry() noexcept = 0;

 protected:
  ~Retry() = default;

 private:
  friend class RetryQueue;
  std::int64_t when_ms_ = 0;  // the delay; after the next run the time when it is due
};

/// All retries of an nginx worker with one timer. There is a list for each delay, so that each list is in
/// order.
class RetryQueue {
 public:
  explicit RetryQueue(Scheduler &scheduler) : scheduler_(scheduler) {}

  /// Adds or moves an entry. It is due `delay_ms` after the next run().
  void put(Retry &retry, std::int64_t delay_ms) {
    retry.when_ms_ = delay_ms;
    fresh_.push_back(retry);
    scheduler_.run_soon();
  }
  void run(std::int64_t now_ms);

 private:
  static constexpr std::int64_t kDelays[] = {2, 10, 50, 250, 1000};  // a longer one counts as the last

  void insert(Retry &retry, std::int64_t now_ms);

  Scheduler &scheduler_;
  List<Retry, IsRetry> fresh_;
  List<Retry, IsRetry> waiting_[std::size(kDelays)];
};

}  // namespace await::core
