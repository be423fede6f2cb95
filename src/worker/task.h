#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/child.h"
#include "worker/client.h"
#include "worker/notes.h"

namespace await::worker {

/// Options of the command line that concern a task.
struct Options {
  std::vector<std::string> command;
  std::vector<std::string> withheld;  ///< variables that are not passed to the command
  std::string content_type = "application/octet-stream";
  std::optional<std::string> file_name;
  int status = 200;
  /// Time between SIGTERM and SIGKILL, and for processes that a command leaves behind.
  std::int64_t grace_ms = 10'000;
};

/// Runs the command for one job: passes it the payload, reads its output, and reports the outcome when all
/// that it wrote has been stored.
class Task : private Child::Observer, private Notes::Observer {
 public:
  /// @param done  called exactly once, as the last call; may destroy the task
  Task(io::Loop &loop, io::Log &log, io::Random &random, Client &client, const Options &options,
       ClaimedJob job, std::function<void()> done);
  ~Task();

  void start();
  const ClaimedJob &job() const { return job_; }
  /// Whether the lease has to be renewed.
  bool holds() const { return mine_; }
  /// A heartbeat was answered.
  void leased(Lease lease);
  /// Stops the command and gives the job back.
  void abandon();

 private:
  static constexpr std::size_t kInline = 64 * 1024;
  static constexpr std::size_t kPiece = 256 * 1024;
  static constexpr std::size_t kStderrTail = 2048;

  void said(Child::Stream stream, std::string_view bytes) override;
  void ended(int wait_status) override;
  void thirsty() override;
  void notes_moved() override;
  void notes_lost() override { ask_why(); }
  void notes_undeliverable(const std::string &why) override;

  void read_payload();
  void on_payload(const Result<std::optional<std::string>> &piece);
  void stop_command(const std::string &why);
  void on_kill_timer();
  void ask_why();
  void give_up(const std::string &what, const Error &error);
  void store_piece();
  void on_stored(const Result<bool> &stored, const std::string &piece);
  bool success() const;
  void finish();
  void over();
  void report_success();
  void report_failure();
  void report_refusal();
  void reported(const Result<bool> &outcome);
  std::vector<std::pair<std::string, std::string>> environment() const;
  std::string name() const { return job_.id.text() + " attempt " + std::to_string(job_.attempt); }
  /// Wraps a callback so that it does nothing after this was destroyed.
  template <class F>
  auto safely(F call);

  io::Log &log_;
  io::Loop &loop_;
  io::Random &random_;
  Client &client_;
  const Options &options_;
  ClaimedJob job_;
  std::function<void()> done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Child> child_;
  Notes notes_;
  std::unique_ptr<io::Timer> payload_timer_;
  std::unique_ptr<io::Timer> kill_timer_;
  std::unique_ptr<io::Timer> report_timer_;
  Patience payload_patience_;
  Patience report_patience_;
  std::int64_t payload_at_ = 0;
  bool reading_payload_ = false;
  std::string out_;
  int pieces_ = 0;
  bool storing_ = false;
  std::string err_;
  std::string start_error_;
  bool mine_ = true;  // the lease is held, as far as is known
  bool killing_ = false;
  bool releasing_ = false;
  bool ended_ = false;
  bool reporting_ = false;
  bool refused_ = false;  // PostgreSQL did not take the outcome
  int wait_status_ = 0;
};

}  // namespace await::worker
