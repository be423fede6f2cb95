#include "worker/task.h"

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

template <class F>
auto Task::safely(F call) {
  return [alive = std::weak_ptr<bool>(alive_), call = std::move(call)](auto &&outcome) {
    if (alive.lock())
      call(std::forward<decltype(outcome)>(outcome));
  };
}

Task::Task(io::Loop &loop, io::Log &log, io::Random &random, Client &client, const Options &options,
           ClaimedJob job, std::function<void()> done)
    : log_(log),
      loop_(loop),
      random_(random),
      client_(client),
      options_(options),
      job_(std::move(job)),
      done_(std::move(done)),
      notes_(loop, log, random, client, job_, name(), *this),
      payload_timer_(loop.timer([this] { read_payload(); }, io::Loop::Quit::may)),
      kill_timer_(loop.timer([this] { on_kill_timer(); }, io::Loop::Quit::may)),
      report_timer_(loop.timer([this] { finish(); }, io::Loop::Quit::may)),
      payload_patience_(job_.lease_ms),
      report_patience_(job_.lease_ms) {}

Task::~Task() = default;

void Task::start() {
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

std::vector<std::pair<std::string, std::string>> Task::environment() const {
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
void Task::thirsty() {
  if (job_.payload || reading_payload_ || payload_timer_->pending() || !child_)
    return;
  if (payload_at_ >= job_.payload_size)
    child_->close_stdin_when_written();
  else
    read_payload();
}

void Task::read_payload() {
  reading_payload_ = true;
  client_.payload(job_, payload_at_, static_cast<int>(kPiece),
                  safely([this](const Result<std::optional<std::string>> &piece) { on_payload(piece); }));
}

void Task::on_payload(const Result<std::optional<std::string>> &piece) {
  reading_payload_ = false;
  if (!child_ || !mine_)
    return;
  if (!piece) {
    if (Patience::is_passing(piece.error()) && payload_patience_.lasts(loop_.monotonic_ms()))
      payload_timer_->set(payload_patience_.pause_ms(random_.unit()));
    else
      give_up("cannot read its payload", piece.error());
    return;
  }
  payload_patience_.reset();
  if (!*piece) {
    ask_why();
  } else if ((*piece)->empty()) {
    give_up("cannot read its payload", {Code::internal, "it is truncated"});
  } else {
    payload_at_ += static_cast<std::int64_t>((*piece)->size());
    child_->write(**piece);
  }
}

void Task::said(Child::Stream stream, std::string_view bytes) {
  switch (stream) {
    case Child::kOut:
      if (!mine_)
        return;
      out_ += bytes;
      if (out_.size() >= kPiece) {
        child_->pause(Child::kOut, true);
        store_piece();
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

void Task::notes_moved() {
  if (child_)
    child_->pause(Child::kNotes, notes_.full());
  if (ended_)
    finish();
}

void Task::notes_undeliverable(const std::string &why) {
  give_up("cannot store its events", {Code::unavailable, why});
}

void Task::leased(Lease lease) {
  if (!mine_ || lease == Lease::held)
    return;
  if (lease ==
      Lease::cancelled)  // this removes the lease, which nobody needs any more, and changes nothing else
    client_.release(job_);
  stop_command(lease == Lease::cancelled ? "the job was cancelled" : "the lease is lost");
}

/// A call was answered as if this claim did not hold the job: because of a cancel, or because the lease was
/// lost?
void Task::ask_why() {
  client_.heartbeat(job_, std::nullopt, safely([this](const Result<Lease> &lease) {
                      leased(lease && *lease == Lease::cancelled ? Lease::cancelled : Lease::lost);
                    }));
}

/// The attempt must not complete without this. Another one follows when the lease has expired.
void Task::give_up(const std::string &what, const Error &error) {
  log_.error("job " + name() + ": " + what + ", so this attempt does not complete: " + error.detail);
  stop_command(what);
}

/// SIGTERM, then SIGKILL.
void Task::stop_command(const std::string &why) {
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

void Task::on_kill_timer() {
  if (child_)
    child_->kill();
}

/// Ends the task, once: later answers (to a heartbeat and to the result, one after the other) are ignored.
void Task::over() {
  if (!alive_)
    return;
  alive_.reset();
  mine_ = false;
  notes_.stop();
  payload_timer_->clear();
  report_timer_->clear();
  kill_timer_->clear();
  if (releasing_)
    client_.release(job_);
  done_();
}

void Task::abandon() {
  if (!alive_)
    return;
  releasing_ = mine_;
  stop_command("the worker received a second signal to stop");
  kill_timer_->set(std::min(kAbandonMs, options_.grace_ms));
}

void Task::store_piece() {
  if (storing_ || report_timer_->pending() || !mine_)
    return;
  storing_ = true;
  std::string piece = out_.substr(0, kPiece);
  out_.erase(0, piece.size());
  client_.append_result(job_, pieces_, piece,
                        safely([this, piece](const Result<bool> &stored) { on_stored(stored, piece); }));
}

void Task::on_stored(const Result<bool> &stored, const std::string &piece) {
  storing_ = false;
  if (!mine_)
    return;
  if (!stored) {
    out_.insert(0, piece);  // retried with the same number, stored once
    if (!Patience::is_passing(stored.error()) || !report_patience_.lasts(loop_.monotonic_ms()))
      give_up("cannot store its result", stored.error());
    else
      report_timer_->set(report_patience_.pause_ms(random_.unit()));
    return;
  }
  report_patience_.reset();
  ++pieces_;
  if (!*stored)
    ask_why();
  else
    finish();
}

void Task::ended(int wait_status) {
  wait_status_ = wait_status;
  ended_ = true;
  if (child_ && child_->killed_rest())
    log_.info("job " + name() +
              ": killed processes that the command has left behind, which had its output open");
  child_.reset();
  kill_timer_->clear();
  payload_timer_->clear();
  notes_.close();
  finish();
}

bool Task::success() const { return WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0; }

/// Goes on with what is to be stored, in this order: the pieces of the result and the events, then the
/// outcome.
void Task::finish() {
  if (!alive_ || storing_ || reporting_ || report_timer_->pending())
    return;
  if (ended_ && !mine_)
    over();
  else if (out_.size() >= kPiece || (ended_ && success() && pieces_ > 0 && !out_.empty()) ||
           (ended_ && success() && out_.size() > kInline))
    store_piece();
  else if (!ended_)
    child_->pause(Child::kOut, false);
  else if (!notes_.empty())
    return;  // notes_moved() follows
  else if (refused_)
    report_refusal();
  else if (success())
    report_success();
  else
    report_failure();
}

void Task::report_success() {
  reporting_ = true;
  std::optional<std::string> body;
  if (pieces_ == 0)
    body = out_;
  client_.complete(job_, body, options_.content_type, options_.status, options_.file_name,
                   safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

void Task::report_failure() {
  reporting_ = true;
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
  std::optional<std::int64_t> retry;
  if (exited && code == kDataError)
    retry = -1;
  client_.fail(job_, error.take(), retry, safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

/// PostgreSQL did not take the outcome: the attempt fails without anything that the command has written.
void Task::report_refusal() {
  reporting_ = true;
  bool final = WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == kDataError;
  wire::JsonWriter error;
  error.text("title", success() ? "The result was refused" : "The command failed");
  error.text("detail", "The database refused what the command wrote. The log of the worker has the reason.");
  client_.fail(job_, error.take(), final ? std::optional<std::int64_t>(-1) : std::nullopt,
               safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

void Task::reported(const Result<bool> &outcome) {
  reporting_ = false;
  if (!mine_)
    return;
  if (outcome && !*outcome) {
    ask_why();
  } else if (outcome) {
    log_.info("job " + name() + (success() && !refused_ ? ": completed" : ": failed"));
    over();
  } else if (Patience::is_passing(outcome.error())) {
    // repeating is harmless
    if (report_patience_.lasts(loop_.monotonic_ms()))
      report_timer_->set(report_patience_.pause_ms(random_.unit()));
    else
      give_up("cannot store its outcome", outcome.error());
  } else if (!refused_) {
    log_.error("job " + name() +
               ": its outcome was refused, so it fails without the text: " + outcome.error().detail);
    refused_ = true;
    finish();
  } else {
    give_up("its failure was refused", outcome.error());
  }
}

}  // namespace await::worker
