#pragma once

#include <cstdint>

#include "base/list.h"
#include "core/ports.h"

namespace await::core {

struct IsRetry {};

/// Something to be tried again. Destroying it takes it off.
class Retry : public Hook<IsRetry> {
 public:
  /// The time has come. It may destroy itself, but no other.
  virtual void on_retry() noexcept = 0;

 protected:
  ~Retry() = default;

 private:
  friend class RetryQueue;
  std::int64_t when_ms_ = 0;  // its delay, and from the next run on the moment
};

/// All retries of an nginx worker behind one timer: a list for each delay, so that each is in order.
class RetryQueue {
 public:
  explicit RetryQueue(Scheduler &scheduler) : scheduler_(scheduler) {}

  /// Due `delay_ms` after the next run. Again: moves it.
  void put(Retry &retry, std::int64_t delay_ms) {
    retry.when_ms_ = delay_ms;
    fresh_.push_back(retry);
    scheduler_.run_soon();
  }
  void run(std::int64_t now_ms);

 private:
  static constexpr std::int64_t kDelays[] = {2, 10, 50, 250, 1000};  // longer ones wait as long as the last

  void place(Retry &retry, std::int64_t now_ms);

  Scheduler &scheduler_;
  List<Retry, IsRetry> fresh_;
  List<Retry, IsRetry> waiting_[std::size(kDelays)];
};

}  // namespace await::core
