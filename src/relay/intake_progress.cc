#include "relay/intake_progress.h"

#include <algorithm>
#include <utility>

namespace await::relay {

IntakeProgress::IntakeProgress(io::Loop &loop, Cursors &cursors, const std::string &name,
                               const Source &source)
    : loop_(loop),
      cursors_(cursors),
      name_(cursor_name(name)),
      source_(source),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

void IntakeProgress::lead(bool leads) {
  if (std::exchange(leads_, leads) == leads)
    return;
  if (leads) {
    on_timer();
    return;
  }
  timer_->clear();
  if (open_reply_.waiting())
    open_reply_.unlink();
  if (no_ != 0 && !stored_reply_.waiting())
    store();  // refused if another relay leads
  no_ = 0;
}

void IntakeProgress::on_jobs(std::size_t count, std::int64_t at_ms) {
  progress_.delivered += static_cast<std::int64_t>(count);
  at_ms_ = std::max(at_ms_, std::min(at_ms, loop_.unix_ms()));  // whoever writes messages chooses their times
}

void IntakeProgress::on_timer() {
  timer_->set(kStoreMs);
  if (no_ != 0)
    store();
  else if (!open_reply_.waiting())
    cursors_.open({name_}, open_reply_);
}

void IntakeProgress::on_opened(Result<std::vector<StoredCursor>> cursors) {
  if (!leads_ || !cursors || cursors->empty())
    return;
  no_ = cursors->front().no;
  store();
}

void IntakeProgress::store() {
  if (stored_reply_.waiting() || !cursors_.writable())
    return;
  std::string cursor = "kafka:" + std::to_string(source_.behind()) + ":" + std::to_string(at_ms_);
  std::string reason = source_.trouble();
  bool same = cursor == last_ && reason == storing_.reason && progress_.delivered + progress_.failures == 0;
  if (same && loop_.monotonic_ms() - stored_ms_ < kIdleStoreMs)
    return;
  storing_ = std::exchange(progress_, Progress());
  storing_.cursor = last_ = std::move(cursor);
  storing_.reason = std::move(reason);
  stored_ms_ = loop_.monotonic_ms();
  cursors_.advance(name_, no_, storing_, stored_reply_);
}

/// A row that was set or dropped by an operator is opened again.
void IntakeProgress::on_stored(Result<Advanced> outcome) {
  if (outcome && outcome->leads && !outcome->other_cursor) {
    no_ = no_ == 0 ? 0 : outcome->no;
    return;
  }
  progress_.delivered += storing_.delivered;
  progress_.failures += storing_.failures;
  last_.clear();
  no_ = 0;
}

}  // namespace await::relay
