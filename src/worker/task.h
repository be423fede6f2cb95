#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/child.h"
#include "worker/client.h"

namespace await::worker {

/// What await-worker was told on its command line.
struct Options {
  std::vector<std::string> command;
  std::vector<std::string> withheld;  ///< variables of our environment that the command does not get
  std::string content_type = "application/octet-stream";
  std::optional<std::string> file_name;
  int status = 200;
  std::int64_t grace_ms = 10'000;  ///< between TERM and KILL
};

/// One job: runs the command, feeds it, listens to it, keeps the lease, and says how it ended.
class Task : private Child::Observer {
 public:
  /// @param done  called once, last; may destroy the task
  Task(io::Loop &loop, io::Log &log, Client &client, const Options &options, ClaimedJob job,
       std::function<void()> done);
  ~Task();

  void start();
  void reaped(pid_t pid, int wait_status);
  /// Ends the command without a word to the database: the lease runs out, another attempt follows.
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
  /// Wraps a callback so that it does nothing once this is gone.
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
  bool mine_ = true;  // the lease is ours, as far as we know
  bool killing_ = false;
  bool ended_ = false;
  int wait_status_ = 0;
  int report_tries_ = 0;
};

}  // namespace await::worker
