#include "core/seq_position.h"

#include "core/cursor.h"

namespace await::core {
namespace {
constexpr int kNewest = INT32_MAX - 1;  // a read after it returns no events, only where the history ends
}

SeqPosition::SeqPosition(const Uuid &id, const std::string &cursor)
    : id_(id),
      cursor_(cursor.empty() ? nullptr : std::make_unique<std::string>(cursor)),
      had_cursor_(!cursor.empty()) {}

/// The seq that the cursor names on `timeline`; empty if it names none.
std::optional<int> SeqPosition::seq_of_cursor(std::uint32_t timeline) const {
  return cursor_ ? decode_cursor(*cursor_, timeline, id_) : std::nullopt;
}

void SeqPosition::start(std::uint32_t timeline) {
  if (state_ == State::unread)
    after_ = seq_of_cursor(timeline).value_or(is_topic() && !had_cursor_ ? kNewest : 0);
}

Continuity SeqPosition::on_page(const EventPage &page, std::uint32_t timeline) {
  bool gap = false;
  if (state_ == State::unread) {
    if (is_topic() && !had_cursor_)
      return start_at_latest(page, timeline);
    // the timeline may have become known during the read, shortly after the start of an nginx worker
    auto seen = seq_of_cursor(timeline);
    // mutant: cursor-must-fit
    gap = (had_cursor_ && !seen) || (seen && *seen > page.last_seq);
    if (!gap && seen.value_or(0) != after_) {
      after_ = seen.value_or(0);
      // mutant: cursor-understood-late
      return Continuity::reread;
    }
    state_ = State::following;
    cursor_.reset();
  } else {
    // mutant: failover-loses-place
    gap = timeline != timeline_ || after_ > page.last_seq;
  }
  timeline_ = timeline;
  if (!gap)
    pass_over(page);
  bool cut = is_topic() && !page.events.empty() && !has(page.events.front()) && !is_next(page.events.front());
  // mutant: topic-gap
  gap = gap || cut;
  if (gap)
    skip_gap(page);
  return gap ? Continuity::gap : Continuity::resumed;
}

Continuity SeqPosition::start_at_latest(const EventPage &page, std::uint32_t timeline) {
  state_ = is_silent(page) ? State::silent : State::following;
  timeline_ = timeline;
  // mutant: topic-starts-at-latest
  after_ = before_latest(page);
  return state_ == State::silent ? Continuity::resumed : Continuity::reread;
}

/// Passes over the numbers of a topic that no client needs to get.
void SeqPosition::pass_over(const EventPage &page) {
  if (state_ == State::silent && !is_silent(page)) {
    after_ = std::max(after_, page.base);  // it continues behind what it had before it was purged
    state_ = State::following;
  }
  if (is_topic() && is_latest_only(page) && after_ < page.last_seq)
    after_ = before_latest(page);
}

void SeqPosition::skip_gap(const EventPage &page) {
  after_ = is_topic() ? before_latest(page) : page.last_seq;
  state_ = is_topic() && is_silent(page) ? State::silent : State::following;
}

bool SeqPosition::mark_gone(std::uint32_t timeline) {
  bool is_news = seq_of_cursor(timeline) != kGone;
  timeline_ = timeline;
  after_ = kGone;
  state_ = State::gone;
  cursor_.reset();
  return is_news;
}

std::string SeqPosition::cursor() const { return encode_cursor(timeline_, id_, after_); }

}  // namespace await::core
