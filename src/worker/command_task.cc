#include "worker/command_task.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::worker {
namespace {

constexpr int kDataError = 65;  // EX_DATAERR of sysexits.h: a retry with the same input is useless
constexpr std::int64_t kAbandonMs = 500;

}  // namespace

CommandTask::CommandTask(const Context &context, const Options &options, ClaimedJob job,
                         std::function<void()> done)
    : Task(context, std::move(job), std::move(done)),
      options_(options),
      notes_(loop_, log_, random_, client_, job_, name(), *this),
      kill_timer_(loop_.timer(
          [this] {
            if (child_)
              child_->kill();
          },
          io::Loop::Quit::may)) {}

CommandTask::~CommandTask() = default;

void CommandTask::start() {
  log_.info("job " + name() + ": started (queue " + job_.queue + ")");
  Command command{options_.command, environment(), options_.withheld, job_.params.value_or("{}"),
                  options_.grace_ms};
  auto child = Child::start(loop_, command, *this);
  if (!child) {
    start_error_ = child.error().detail;
    ended(127 << 8);
    return;
  }
  child_ = std::move(*child);
  if (job_.payload) {
    child_->write(*job_.payload);
    child_->close_stdin_when_written();
  } else {
    thirsty();
  }
}

std::vector<std::pair<std::string, std::string>> CommandTask::environment() const {
  std::vector<std::pair<std::string, std::string>> out = {
      {"AWAIT_JOB_ID", job_.id.text()},
      {"AWAIT_ATTEMPT", std::to_string(job_.attempt)},
      {"AWAIT_RECEIPT", job_.receipt},
      {"AWAIT_QUEUE", job_.queue},
      {"AWAIT_CONTENT_TYPE", job_.content_type},
      {"AWAIT_PAYLOAD_SIZE", std::to_string(job_.payload_size)},
      {"AWAIT_FILE_NAME", job_.file_name.value_or("")},
      {"AWAIT_CORRELATION_ID", job_.correlation_id.value_or("")},
      {"AWAIT_BATCH", job_.batch.value_or("")},
      {"AWAIT_PHASE", job_.phase.value_or("")},
  };
  if (job_.trace)
    out.emplace_back("TRACEPARENT", *job_.trace);
  return out;
}

/// stdin accepts more: read the next chunk of a large payload.
void CommandTask::thirsty() {
  if (job_.payload || reading_payload() || !child_)
    return;
  if (payload_at_ >= job_.payload_size)
    child_->close_stdin_when_written();
  else
    read_payload();
}

void CommandTask::said(Child::Stream stream, std::string_view bytes) {
  switch (stream) {
    case Child::kOut:
      if (!mine_)
        return;
      out_ += bytes;
      if (piece_is_full()) {
        child_->pause(Child::kOut, true);
        advance();
      }
      return;
    case Child::kErr:
      if (::write(STDERR_FILENO, bytes.data(), bytes.size()) < 0) {
        // stderr of this process is closed; the tail is kept anyway
      }
      err_ += bytes;
      if (err_.size() > 4 * kStderrTail)
        err_.erase(0, err_.size() - 2 * kStderrTail);
      return;
    case Child::kNotes:
      notes_.add(bytes);
      child_->pause(Child::kNotes, mine_ && notes_.full());
  }
}

void CommandTask::notes_moved() {
  if (child_)
    child_->pause(Child::kNotes, notes_.full());
  if (ended_)
    advance();
}

void CommandTask::notes_undeliverable(const std::string &why) {
  give_up("cannot store its events", {Code::unavailable, why});
}

/// SIGTERM, then SIGKILL.
void CommandTask::stop(const std::string &why) {
  if (killing_)
    return;
  log_.info("job " + name() + ": " + (child_ ? "stopping the command: " : "ended: ") + why);
  killing_ = true;
  mine_ = false;
  notes_.stop();
  out_.clear();
  if (!child_) {
    over();
    return;
  }
  child_->terminate();
  child_->pause(Child::kOut, false);
  child_->pause(Child::kNotes, false);
  kill_timer_->set(options_.grace_ms);
}

void CommandTask::abandon() {
  Task::abandon();
  if (child_)
    kill_timer_->set(std::min(kAbandonMs, options_.grace_ms));
}

void CommandTask::quiet() {
  notes_.stop();
  kill_timer_->clear();
}

void CommandTask::ended(int wait_status) {
  wait_status_ = wait_status;
  ended_ = true;
  if (child_ && child_->killed_rest())
    log_.info("job " + name() +
              ": killed processes that the command has left behind, which had its output open");
  child_.reset();
  kill_timer_->clear();
  notes_.close();
  advance();
}

bool CommandTask::success() const { return WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0; }

void CommandTask::report() {
  if (success())
    complete(options_.content_type, options_.status, options_.file_name);
  else
    report_failure();
}

void CommandTask::report_failure() {
  bool exited = WIFEXITED(wait_status_);
  int code = exited ? WEXITSTATUS(wait_status_) : WTERMSIG(wait_status_);
  std::string_view tail = trim(text_tail(err_, kStderrTail));
  while (tail.ends_with('\n'))
    tail.remove_suffix(1);
  wire::JsonWriter error;
  error.text("title", exited ? "The command failed" : "The command was killed");
  error.text("detail", !start_error_.empty() ? start_error_
                       : !tail.empty()       ? repair_text(tail)
                                             : "The command wrote nothing to stderr.");
  error.number(exited ? "exit_status" : "signal", code);
  fail(error.take(), exited && code == kDataError ? std::optional<std::int64_t>(-1) : std::nullopt);
}

/// PostgreSQL did not take the outcome: the attempt fails without anything that the command has written.
void CommandTask::report_refused() {
  bool final = WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == kDataError;
  wire::JsonWriter error;
  error.text("title", success() ? "The result was refused" : "The command failed");
  error.text("detail", "The database refused what the command wrote. The log of the worker has the reason.");
  fail(error.take(), final ? std::optional<std::int64_t>(-1) : std::nullopt);
}

}  // namespace await::worker
