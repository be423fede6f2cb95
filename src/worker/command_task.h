#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/child.h"
#include "worker/notes.h"
#include "worker/task.h"

namespace await::worker {

/// Options of the command line that concern a command.
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
class CommandTask : public Task, private Child::Observer, private Notes::Observer {
 public:
  CommandTask(const Context &context, const Options &options, ClaimedJob job, std::function<void()> done);
  ~CommandTask() override;

  void start() override;
  void abandon() override;

 private:
  static constexpr std::size_t kStderrTail = 2048;

  void said(Child::Stream stream, std::string_view bytes) override;
  void ended(int wait_status) override;
  void thirsty() override;
  void notes_moved() override;
  void notes_lost() override { ask_why(); }
  void notes_undeliverable(const std::string &why) override;

  void take_payload(std::string piece) override { child_->write(piece); }
  void on_room() override { child_->pause(Child::kOut, false); }
  bool settled() const override { return notes_.empty(); }
  void stop(const std::string &why) override;
  void quiet() override;
  bool success() const override;
  void report() override;
  void report_refused() override;
  void report_failure();
  std::vector<std::pair<std::string, std::string>> environment() const;

  const Options &options_;
  std::unique_ptr<Child> child_;
  Notes notes_;
  std::unique_ptr<io::Timer> kill_timer_;
  std::string err_;
  std::string start_error_;
  bool killing_ = false;
  int wait_status_ = 0;
};

}  // namespace await::worker
