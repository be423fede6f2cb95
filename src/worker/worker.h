#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "io/poll_loop.h"
#include "worker/backend.h"
#include "worker/command_task.h"

namespace await::worker {

/// Claims jobs up to the concurrency limit, and runs a Task for each: a command, or a request to a back end.
/// Renews the leases of all of them by one statement, which is also how it learns of cancels if it does not
/// hear of them by Redis.
class Worker {
 public:
  struct Settings {
    std::vector<std::string> queues;
    std::string name;
    int concurrency = 1;
    std::optional<std::int64_t> lease_ms;
    Options task;
    Backend::Options http;  ///< with a URL: jobs are played to back ends instead of running a command
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
  using Tasks = std::list<std::unique_ptr<Task>>;
  static constexpr std::int64_t kMaxBeatMs = 5'000;
  static constexpr std::int64_t kMinBeatMs = 300;

  std::unique_ptr<Task> task_for(ClaimedJob job, Tasks::iterator at);
  void run(ClaimedJob job);
  void ended(Tasks::iterator at);
  void on_cancel(std::string_view job);
  void ask(const std::vector<Task *> &tasks);
  void told(std::size_t asked, const Result<std::map<std::string, Lease>> &leases);
  void beat();
  void beat_within(std::int64_t ms);
  static std::int64_t beat_ms(const ClaimedJob &job);
  void claim();
  void claimed(Result<std::vector<ClaimedJob>> jobs);
  void look_later();
  void on_second();

  io::PollLoop &loop_;
  io::Log &log_;
  io::Random &random_;
  Client &client_;
  Settings settings_;
  std::unique_ptr<Backend> backend_;  // null: jobs are done by commands
  Tasks tasks_;
  bool claiming_ = false;
  bool woken_ = false;  // there may be jobs that the claim in flight does not see
  bool draining_ = false;
  core::Backoff backoff_{100, 2'000};
  std::unique_ptr<io::Timer> claim_timer_;
  std::unique_ptr<io::Timer> second_timer_;
  std::unique_ptr<io::Timer> beat_timer_;
  std::int64_t beat_at_ = 0;  // when it fires
  bool told_unrenewed_ = false;
  std::unique_ptr<io::Timer> purge_timer_;
};

}  // namespace await::worker
