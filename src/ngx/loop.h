#pragma once

#include "io/loop.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// io::Loop on nginx's own event loop.
class Loop : public io::Loop {
 public:
  explicit Loop(ngx_log_t *log);
  ~Loop() override;

  void post(io::Task &task) override;
  /// Runs the task in the next iteration, after everything that can be read then. A timer of 0 ms cannot be
  /// used: nginx expires timers until none is due, so it would run at once.
  void post_next(io::Task &task);
  std::unique_ptr<io::FdWatcher> watch(int fd, std::function<void()> ready) override;
  std::unique_ptr<io::Timer> timer(std::function<void()> fire, Quit quit) override;
  std::int64_t monotonic_ms() const override { return static_cast<std::int64_t>(ngx_current_msec); }
  std::int64_t unix_ms() const override;

 private:
  void run_tasks(List<io::Task> &tasks);

  ngx_log_t *log_;
  List<io::Task> tasks_;
  List<io::Task> next_tasks_;
  ngx_event_t posted_{};
  ngx_event_t posted_next_{};
};

}  // namespace await::ngx
