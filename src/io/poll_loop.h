#pragma once

#include <vector>

#include "io/loop.h"

namespace await::io {

/// The event loop of the executables and tests: poll(2), for few descriptors and few timers.
class PollLoop : public Loop {
 public:
  PollLoop() = default;
  ~PollLoop() override;

  void post(Task &task) override { tasks_.push_back(task); }
  std::unique_ptr<FdWatcher> watch(int fd, std::function<void()> ready) override;
  std::unique_ptr<Timer> timer(std::function<void()> fire, Quit quit) override;
  std::int64_t monotonic_ms() const override;
  std::int64_t unix_ms() const override;

  /// Runs one iteration: waits for events for at most `max_ms` and handles them.
  void round(std::int64_t max_ms);
  /// Runs iterations until `done()`, for at most `max_ms`. Returns false if the time is over.
  bool run_until(const std::function<bool()> &done, std::int64_t max_ms);

 private:
  class PollWatch;
  class PollTimer;
  void run_tasks();
  void fire_timers();

  List<Task> tasks_;
  std::vector<PollWatch *> watches_;
  std::vector<PollTimer *> timers_;
};

}  // namespace await::io
