#include "core/position.h"

#include "core/cursor.h"
#include "core/multi_cursor.h"

namespace await::core {
namespace {
constexpr int kNewest = INT32_MAX - 1;  // a read after it brings nothing but where the history stands
}

Position::Position(const Uuid &id, std::string cursor, std::string_view owner, const CursorKeys *keys)
    : id_(id), had_cursor_(!cursor.empty()) {
  if (had_cursor_)
    cursor_ = std::make_unique<std::string>(cursor_for(id, std::move(cursor)));
  if (kind_of(id) != Kind::user)
    return;
  since_ = std::make_unique<Standing>();
  since_->owner = owner;
  since_->keys = keys;
}

/// The seq that the cursor names on `timeline`.
std::optional<int> Position::known(std::uint32_t timeline) const {
  return cursor_ ? decode_cursor(*cursor_, timeline, id_) : std::nullopt;
}

void Position::aim(std::uint32_t timeline) {
  if (placed_)
    return;
  if (since_)
    aim_user(timeline);
  else
    after_ = known(timeline).value_or(kind_of(id_) == Kind::topic && !had_cursor_ ? kNewest : 0);
}

void Position::aim_user(std::uint32_t timeline) {
  timeline_ = timeline;
  auto known = cursor_ ? decode_snapshot_cursor(since_->signers(), *cursor_, timeline, id_) : std::nullopt;
  if (!known)
    known.emplace();
  known->owner = std::move(since_->owner);
  static_cast<SnapshotCursor &>(*since_) = std::move(*known);
}

Position::Fit Position::fit(const EventPage &page, std::uint32_t timeline) {
  if (since_)
    return fit_user(page, timeline);
  bool topic = kind_of(id_) == Kind::topic;
  bool lost = false;
  if (!placed_ && topic && !had_cursor_) {
    placed_ = true;
    timeline_ = timeline;
    // mutant: topic-starts-at-latest
    after_ = before_latest(page);
    blank_ = is_silent(page);
    return blank_ ? Fit::here : Fit::elsewhere;
  }
  if (!placed_) {
    // while it was read the timeline may have become known, in an nginx worker's first moments
    auto seen = known(timeline);
    // mutant: cursor-must-fit
    lost = (had_cursor_ && !seen) || (seen && *seen > page.last_seq);
    if (!lost && seen.value_or(0) != after_) {
      after_ = seen.value_or(0);
      // mutant: cursor-understood-late
      return Fit::elsewhere;
    }
    placed_ = true;
    cursor_.reset();
  } else {
    // mutant: failover-loses-place
    lost = timeline != timeline_ || after_ > page.last_seq;
  }
  timeline_ = timeline;
  if (!lost && blank_ && !is_silent(page))
    after_ = std::max(after_, page.base);  // it goes on behind what it had before it went: nothing is missing
  blank_ = blank_ && is_silent(page);
  if (!lost && topic && is_latest_only(page) && after_ < page.last_seq)
    after_ = before_latest(page);  // what came before does not count
  bool cut =
      topic && !page.events.empty() && page.events.front().seq > after_ + 1;  // what came next is not kept
  // mutant: topic-gap
  lost = lost || cut;
  if (lost) {
    after_ = topic ? before_latest(page) : page.last_seq;
    blank_ = topic && is_silent(page);
  }
  return lost ? Fit::lost : Fit::here;
}

Position::Fit Position::fit_user(const EventPage &page, std::uint32_t timeline) {
  if (!placed_ && had_cursor_ && timeline != timeline_) {
    aim_user(timeline);
    return Fit::elsewhere;
  }
  bool begins = since_->seen.text.empty();
  // mutant: failover-of-user
  bool lost =
      lost_ || page.merged->lost || (placed_ && timeline != timeline_) || (begins && had_cursor_ && !placed_);
  placed_ = true;
  timeline_ = timeline;
  cursor_.reset();
  older_ = !since_->reading.text.empty();
  lost_ = lost && older_;
  if (lost_) {  // that moment says nothing either: from now on
    since_->seen = since_->reading = {};
    since_->eid = 0;
    return Fit::elsewhere;
  }
  since_->reading = page.merged->until;
  past_ = lost || begins;
  if (past_ || (page.merged->complete && page.events.empty()))
    pass();
  return lost ? Fit::lost : Fit::here;
}

/// Everything up to the page's moment is read.
void Position::pass() {
  past_ = true;
  // mutant: user-page-done
  since_->seen = std::move(since_->reading);
  since_->reading = {};
  since_->eid = 0;
}

bool Position::passed(const Event &event) const {
  return since_ ? past_ || event.origin->eid <= since_->eid : event.seq <= after_;
}

bool Position::take(const EventPage &page, const Event &event) {
  if (!since_) {
    // mutant: no-gap
    if (event.seq != after_ + 1)
      return false;
    after_ = event.seq;
    return true;
  }
  if (passed(event))
    return false;
  since_->eid = event.origin->eid;
  // mutant: user-page-end
  if (page.merged->complete && since_->eid == page.events.back().origin->eid)
    pass();
  return true;
}

bool Position::takes_whole(const EventPage &page, std::size_t most_bytes) const {
  constexpr std::size_t kFew = 16;
  std::size_t n = page.events.size();
  if (n < 2 || n > kFew || (since_ ? passed(page.events.front()) : page.events.front().seq != after_ + 1))
    return false;
  std::size_t bytes = 0;
  for (const Event &event : page.events)
    bytes += (event.data ? event.data->size() : 0) +
             (event.result ? static_cast<std::size_t>(event.result->size) : 0);
  return bytes <= most_bytes;
}

bool Position::has_news(const EventPage &page) const {
  return since_ ? !page.events.empty() && !passed(page.events.back()) : page.last_seq > after_;
}

std::pair<int, int> Position::standing(const EventPage &page) const {
  if (!since_)
    return {after_, page.last_seq};
  // mutant: user-page-more
  return {0, page.merged->complete && !has_news(page) && !older_ ? 0 : 1};
}

bool Position::mark_gone(std::uint32_t timeline) {
  bool is_news = known(timeline) != kGone;
  timeline_ = timeline;
  after_ = kGone;
  placed_ = true;
  cursor_.reset();
  return is_news;
}

std::string Position::cursor() const {
  return since_ ? encode_snapshot_cursor(since_->signers(), timeline_, id_, *since_)
                : encode_cursor(timeline_, id_, after_);
}

}  // namespace await::core
