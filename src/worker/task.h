#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/child.h"
#include "worker/client.h"

namespace await::worker {

/// Options of the command line that concern a task.
struct Options {
  std::vector<std::string> command;
  std::vector<std::string> withheld;  ///< variables that are not passed to the command
  std::string content_type = "application/octet-stream";
  std::optional<std::string> file_name;
  int status = 200;
  std::int64_t grace_ms = 10'000;  ///< time between SIGTERM and SIGKILL
};

/// Runs the command for one job: passes it the payload, reads its output, renews the lease, and reports the
/// outcome.
class Task : private Child::Observer {
 public:
  /// @param done  called exactly once, as the last call; may destroy the task
  Task(io::Loop &loop, io::Log &log, Client &client, const Options &options, ClaimedJob job,
       std::function<void()> done);
  ~Task();

  void start();
  void reaped(pid_t pid, int wait_status);
  /// Stops the command without reporting to the database: the lease expires, and another attempt follows.
  void abandon();

 private:
  static constexpr std::size_t kInline = 64 * 1024;
  static constexpr std::size_t kPiece = 256 * 1024;
  static constexpr std::size_t kStderrTail = 2048;

  void said(Child::Stream stream, std::string_view bytes) override;
  void ended(int wait_status) override;
  void thirsty() override;

  void note(std::string_view line);
  void beat(const std::optional<std::string> &progress);
  void kill_command(const std::string &why);
  void on_kill_timer();
  void store_piece();
  void report();
  void over();
  void report_success();
  void report_failure();
  void reported(const Result<bool> &outcome);
  std::vector<std::pair<std::string, std::string>> environment() const;
  std::string name() const { return job_.id.text() + " attempt " + std::to_string(job_.attempt); }
  /// Wraps a callback so that it does nothing after this was destroyed.
  template <class F>
  auto safely(F call);

  io::Log &log_;
  io::Loop &loop_;
  Client &client_;
  const Options &options_;
  ClaimedJob job_;
  std::function<void()> done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Child> child_;
  std::unique_ptr<io::Timer> beat_timer_;
  std::unique_ptr<io::Timer> kill_timer_;
  std::unique_ptr<io::Timer> report_timer_;
  std::int64_t payload_at_ = 0;
  bool reading_payload_ = false;
  std::string out_;
  int pieces_ = 0;
  bool storing_ = false;
  std::string notes_;
  std::string err_;
  std::string start_error_;
  bool mine_ = true;  // the lease is held, as far as is known
  bool killing_ = false;
  bool ended_ = false;
  int wait_status_ = 0;
  int report_tries_ = 0;
};

}  // namespace await::worker
