#include "worker/task.h"

#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::worker {
namespace {

constexpr int kDataError = 65;  // EX_DATAERR of sysexits.h: a retry with the same input is useless
constexpr std::size_t kMaxNote = 65536;

std::optional<std::string> dump(json_t *value) {
  if (value == nullptr)
    return std::nullopt;
  char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
  std::optional<std::string> out(text != nullptr ? std::optional<std::string>(text) : std::nullopt);
  std::free(text);
  return out;
}

std::optional<std::string> member_text(json_t *object, const char *name) {
  json_t *value = json_object_get(object, name);
  return json_is_string(value) ? std::optional<std::string>(json_string_value(value)) : std::nullopt;
}

}  // namespace

template <class F>
auto Task::safely(F call) {
  return [alive = std::weak_ptr<bool>(alive_), call](auto outcome) {
    if (alive.lock())
      call(std::move(outcome));
  };
}

Task::Task(io::Loop &loop, io::Log &log, Client &client, const Options &options, ClaimedJob job,
           std::function<void()> done)
    : log_(log),
      loop_(loop),
      client_(client),
      options_(options),
      job_(std::move(job)),
      done_(std::move(done)),
      beat_timer_(loop.timer([this] { beat(std::nullopt); }, io::Loop::Quit::may)),
      kill_timer_(loop.timer([this] { on_kill_timer(); }, io::Loop::Quit::may)),
      report_timer_(loop.timer([this] { report(); }, io::Loop::Quit::may)) {}

Task::~Task() = default;

void Task::start() {
  log_.info("job " + name() + ": started (queue " + job_.queue + ")");
  beat_timer_->set(std::max<std::int64_t>(300, job_.lease_ms / 3));
  auto child = Child::start(loop_, options_.command, environment(), options_.withheld, *this);
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

std::vector<std::pair<std::string, std::string>> Task::environment() const {
  std::vector<std::pair<std::string, std::string>> out = {
      {"AWAIT_JOB_ID", job_.id.text()},
      {"AWAIT_ATTEMPT", std::to_string(job_.attempt)},
      {"AWAIT_RECEIPT", job_.receipt},
      {"AWAIT_QUEUE", job_.queue},
      {"AWAIT_CONTENT_TYPE", job_.content_type},
      {"AWAIT_PAYLOAD_SIZE", std::to_string(job_.payload_size)},
      {"AWAIT_PARAMS", job_.params.value_or("{}")},
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
void Task::thirsty() {
  if (job_.payload || reading_payload_ || !child_)
    return;
  if (payload_at_ >= job_.payload_size) {
    child_->close_stdin_when_written();
    return;
  }
  reading_payload_ = true;
  client_.payload(job_, payload_at_, static_cast<int>(kPiece),
                  safely([this](Result<std::optional<std::string>> piece) {
                    reading_payload_ = false;
                    if (!child_)
                      return;
                    if (!piece || !*piece || (*piece)->empty()) {
                      kill_command(!piece    ? "cannot read its payload: " + piece.error().detail
                                   : !*piece ? "lease lost"
                                             : "its payload is truncated");
                      return;
                    }
                    payload_at_ += static_cast<std::int64_t>((*piece)->size());
                    child_->write(**piece);
                  }));
}

void Task::said(Child::Stream stream, std::string_view bytes) {
  switch (stream) {
    case Child::kOut:
      out_ += bytes;
      if (out_.size() >= kPiece) {
        child_->pause_out(true);
        if (!storing_)
          store_piece();
      }
      return;
    case Child::kErr:
      if (::write(STDERR_FILENO, bytes.data(), bytes.size()) < 0) {
        // stderr of this process is closed; the tail is kept anyway
      }
      err_ += bytes;
      if (err_.size() > 2 * kStderrTail)
        err_.erase(0, err_.size() - kStderrTail);
      return;
    case Child::kNotes:
      notes_ += bytes;
      for (auto end = notes_.find('\n'); end != std::string::npos; end = notes_.find('\n')) {
        note(std::string_view(notes_).substr(0, end));
        notes_.erase(0, end + 1);
      }
      if (notes_.size() > kMaxNote)
        notes_.clear();
  }
}

/// A line on descriptor 3: {"type": …, "data": …, "id": …} is an event, any other object is progress.
void Task::note(std::string_view line) {
  if (trim(line).empty() || !mine_)
    return;
  std::unique_ptr<json_t, void (*)(json_t *)> json(json_loadb(line.data(), line.size(), 0, nullptr),
                                                   [](json_t *j) { json_decref(j); });
  if (!json_is_object(json.get())) {
    log_.error("job " + name() + ": ignored a line on descriptor 3 that is not a JSON object");
    return;
  }
  auto type = member_text(json.get(), "type");
  if (!type) {
    beat(dump(json.get()));
    return;
  }
  client_.emit(job_, *type, dump(json_object_get(json.get(), "data")), member_text(json.get(), "id"),
               safely([this](Result<bool> ours) {
                 if (!ours)
                   log_.error("job " + name() + ": event rejected: " + ours.error().detail);
                 else if (!*ours)
                   kill_command("lease lost");
               }));
}

void Task::beat(const std::optional<std::string> &progress) {
  beat_timer_->set(std::max<std::int64_t>(300, job_.lease_ms / 3));
  client_.heartbeat(job_, progress, safely([this](Result<Lease> lease) {
                      if (!lease) {
                        log_.error("job " + name() + ": cannot renew the lease: " + lease.error().detail);
                        beat_timer_->set(std::min<std::int64_t>(1000, job_.lease_ms / 3));
                      } else if (*lease != Lease::held) {
                        kill_command(*lease == Lease::cancelled ? "job cancelled" : "lease lost");
                      }
                    }));
}

/// The lease is lost, or the job cannot be done: SIGTERM, then SIGKILL.
void Task::kill_command(const std::string &why) {
  if (killing_)
    return;
  log_.info("job " + name() + ": stopping the command: " + why);
  killing_ = true;
  mine_ = false;
  beat_timer_->clear();
  if (!child_) {
    over();
    return;
  }
  child_->signal(SIGTERM);
  child_->pause_out(false);
  kill_timer_->set(options_.grace_ms);
}

void Task::on_kill_timer() {
  if (child_)
    child_->signal(SIGKILL);
}

/// Ends the task, once: later answers (to a heartbeat and to the result, one after the other) are ignored.
void Task::over() {
  if (!alive_)
    return;
  alive_.reset();
  beat_timer_->clear();
  report_timer_->clear();
  kill_timer_->clear();
  done_();
}

void Task::abandon() {
  kill_command("the worker received a second signal to stop");
  kill_timer_->set(500);
}

void Task::reaped(pid_t pid, int wait_status) {
  if (child_ && child_->pid() == pid)
    child_->reaped(wait_status);
}

void Task::store_piece() {
  if (!mine_) {
    out_.clear();
    return;
  }
  storing_ = true;
  std::string piece = out_.substr(0, kPiece);
  out_.erase(0, piece.size());
  client_.append_result(job_, pieces_, piece, safely([this, piece](Result<bool> stored) {
                          storing_ = false;
                          if (!stored) {
                            out_.insert(0, piece);  // retried with the same number, stored once
                            report_timer_->set(1000);
                            return;
                          }
                          ++pieces_;
                          if (!*stored)
                            kill_command("lease lost");
                          else if (out_.size() >= kPiece)
                            store_piece();
                          else if (ended_)
                            report();
                          else
                            child_->pause_out(false);
                        }));
}

void Task::ended(int wait_status) {
  wait_status_ = wait_status;
  ended_ = true;
  child_.reset();
  kill_timer_->clear();
  if (!mine_) {
    over();
    return;
  }
  if (!storing_)
    report();
}

void Task::report() {
  if (!mine_)
    return;
  bool success = WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0;
  if (!ended_ || (success && (pieces_ > 0 || out_.size() > kInline) && !out_.empty()))
    store_piece();
  else if (success)
    report_success();
  else
    report_failure();
}

void Task::report_success() {
  std::optional<std::string> body;
  if (pieces_ == 0)
    body = out_;
  client_.complete(job_, body, options_.content_type, options_.status, options_.file_name,
                   safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

void Task::report_failure() {
  bool exited = WIFEXITED(wait_status_);
  int code = exited ? WEXITSTATUS(wait_status_) : WTERMSIG(wait_status_);
  if (err_.size() > kStderrTail)
    err_.erase(0, err_.size() - kStderrTail);
  std::string_view tail = trim(err_);
  while (tail.ends_with('\n'))
    tail.remove_suffix(1);
  wire::JsonWriter error;
  error.text("title", exited ? "The command failed" : "The command was killed");
  error.text("detail", !start_error_.empty() ? start_error_
                       : !tail.empty()       ? tail
                                             : "The command wrote nothing to stderr.");
  error.number(exited ? "exit_status" : "signal", code);
  std::optional<std::int64_t> retry;
  if (exited && code == kDataError)
    retry = -1;
  client_.fail(job_, error.take(), retry, safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

void Task::reported(const Result<bool> &outcome) {
  if (outcome || (outcome.error().code != Code::unavailable && outcome.error().code != Code::conflict)) {
    bool success = WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0;
    log_.info("job " + name() +
              (!outcome    ? ": outcome rejected: " + outcome.error().detail
               : !*outcome ? ": lease lost, another attempt owns the job"
               : success   ? ": completed"
                           : ": failed"));
    over();
    return;
  }
  // PostgreSQL is unavailable. Repeating is harmless, so retry until the lease must have expired.
  if (++report_tries_ * 1000 > job_.lease_ms + 60'000) {
    log_.error("job " + name() +
               ": cannot store its outcome and the lease has expired: " + outcome.error().detail);
    over();
    return;
  }
  report_timer_->set(1000);
}

}  // namespace await::worker
