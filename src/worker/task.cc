#include "worker/task.h"

namespace await::worker {

Task::Task(const Context &context, ClaimedJob job, std::function<void()> done)
    : loop_(context.loop),
      log_(context.log),
      random_(context.random),
      client_(context.client),
      job_(std::move(job)),
      done_(std::move(done)),
      payload_timer_(loop_.timer([this] { read_payload(); }, io::Loop::Quit::may)),
      report_timer_(loop_.timer([this] { advance(); }, io::Loop::Quit::may)),
      payload_patience_(job_.lease_ms),
      report_patience_(job_.lease_ms) {}

void Task::read_payload() {
  if (reading_payload_ || ended_)
    return;
  reading_payload_ = true;
  client_.payload(job_, payload_at_, static_cast<int>(kPiece),
                  safely([this](const Result<std::optional<std::string>> &piece) { on_payload(piece); }));
}

void Task::on_payload(const Result<std::optional<std::string>> &piece) {
  reading_payload_ = false;
  if (ended_ || !mine_)
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
    take_payload(**piece);
  }
}

void Task::leased(Lease lease) {
  if (!mine_ || lease == Lease::held)
    return;
  if (lease ==
      Lease::cancelled)  // this removes the lease, which nobody needs any more, and changes nothing else
    client_.release(job_);
  stop(lease == Lease::cancelled ? "the job was cancelled" : "the lease is lost");
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
  stop(what);
}

/// Ends the task, once: later answers (to a heartbeat and to the result, one after the other) are ignored.
void Task::over() {
  if (!alive_)
    return;
  alive_.reset();
  mine_ = false;
  quiet();
  payload_timer_->clear();
  report_timer_->clear();
  if (releasing_)
    client_.release(job_, release_delay_ms_);
  done_();
}

void Task::abandon() {
  if (!alive_)
    return;
  releasing_ = mine_;
  stop("the worker received a second signal to stop");
}

void Task::give_back(std::int64_t delay_ms) {
  release_delay_ms_ = delay_ms;
  releasing_ = mine_;
  over();
}

void Task::store_piece() {
  if (!mine_)
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
    advance();
}

void Task::advance() {
  if (!alive_ || storing_ || reporting_ || report_timer_->pending())
    return;
  bool whole = ended_ && success();
  if (ended_ && !mine_)
    over();
  else if (piece_is_full() || (whole && pieces_ > 0 && !out_.empty()) || (whole && out_.size() > kInline))
    store_piece();
  else if (!ended_)
    on_room();
  else if (!settled())
    return;  // advance() is called again
  else if (refused_)
    report_refused();
  else
    report();
}

void Task::complete(const std::string &content_type, int status,
                    const std::optional<std::string> &file_name) {
  reporting_ = true;
  std::optional<std::string> body;
  if (pieces_ == 0)
    body = out_;
  client_.complete(job_, body, content_type, status, file_name,
                   safely([this](const Result<bool> &outcome) { reported(outcome); }));
}

void Task::fail(const std::string &error, std::optional<std::int64_t> retry_in_ms) {
  reporting_ = true;
  client_.fail(job_, error, retry_in_ms, safely([this](const Result<bool> &outcome) { reported(outcome); }));
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
    advance();
  } else {
    give_up("its failure was refused", outcome.error());
  }
}

}  // namespace await::worker
