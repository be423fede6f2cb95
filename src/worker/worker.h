#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "io/poll_loop.h"
#include "worker/task.h"

namespace await::worker {

/// Claims jobs up to the concurrency limit, and runs a Task for each.
class Worker {
 public:
  struct Settings {
    std::vector<std::string> queues;
    std::string name;
    int concurrency = 1;
    std::optional<std::int64_t> lease_ms;
    Options task;
  };

  Worker(io::PollLoop &loop, io::Log &log, io::Random &random, Client &client, Settings settings);

  void start();
  /// Stops claiming jobs. done() is true when the last task has ended.
  void drain();
  /// Stops the running commands too.
  void stop();
  bool done() const { return draining_ && tasks_.empty() && !claiming_; }
  void reap_children();

 private:
  void wake();
  void claim();
  void claimed(Result<std::vector<ClaimedJob>> jobs);
  void look_later();
  void on_second();

  io::PollLoop &loop_;
  io::Log &log_;
  io::Random &random_;
  Client &client_;
  Settings settings_;
  std::list<std::unique_ptr<Task>> tasks_;
  bool claiming_ = false;
  bool woken_ = false;  // there may be jobs that the claim in flight does not see
  bool draining_ = false;
  core::Backoff backoff_{100, 2'000};
  std::unique_ptr<io::Timer> claim_timer_;
  std::unique_ptr<io::Timer> second_timer_;
  std::unique_ptr<io::Timer> purge_timer_;
};

}  // namespace await::worker
