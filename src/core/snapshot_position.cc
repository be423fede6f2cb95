#include "core/snapshot_position.h"

namespace await::core {

SnapshotPosition::SnapshotPosition(const Uuid &user, const std::string &cursor, std::string_view owner,
                                   const CursorKeys *keys)
    : user_(user), data_(std::make_unique<Data>()), had_cursor_(!cursor.empty()) {
  data_->since.owner = owner;
  if (had_cursor_)
    data_->cursor = std::make_unique<std::string>(cursor);
  data_->keys = keys;
}

void SnapshotPosition::start(std::uint32_t timeline) {
  if (state_ != State::unread)
    return;
  timeline_ = timeline;
  auto since = data_->cursor ? decode_snapshot_cursor(keys(), *data_->cursor, timeline, user_) : std::nullopt;
  if (!since)
    since.emplace();
  since->owner = std::move(data_->since.owner);
  data_->since = std::move(*since);
}

Continuity SnapshotPosition::on_page(const EventPage &page, std::uint32_t timeline) {
  bool first = state_ == State::unread;
  if (first && had_cursor_ && timeline != timeline_) {
    start(timeline);
    return Continuity::reread;
  }
  SnapshotCursor &since = data_->since;
  bool begins = since.seen.text.empty();
  bool restarted = state_ == State::restarting;
  // mutant: failover-of-user
  bool gap =
      restarted || page.merged->lost || (!first && timeline != timeline_) || (first && begins && had_cursor_);
  timeline_ = timeline;
  data_->cursor.reset();
  is_range_old_ = !since.reading.text.empty();
  if (gap && is_range_old_) {
    since.seen = since.reading = {};  // neither snapshot means anything now
    since.eid = 0;
    state_ = State::restarting;
    return Continuity::reread;
  }
  since.reading = page.merged->until;
  state_ = State::in_page;
  if (gap || begins || (page.merged->complete && page.events.empty()))
    finish_range();
  return gap ? Continuity::gap : Continuity::resumed;
}

/// Everything up to the snapshot of the page has been read.
void SnapshotPosition::finish_range() {
  state_ = State::past_page;
  // mutant: user-page-done
  data_->since.seen = std::move(data_->since.reading);
  data_->since.reading = {};
  data_->since.eid = 0;
}

bool SnapshotPosition::take(const EventPage &page, const Event &event) {
  if (has(event))
    return false;
  data_->since.eid = event.origin->eid;
  // mutant: user-page-end
  if (page.merged->complete && data_->since.eid == page.events.back().origin->eid)
    finish_range();
  return true;
}

std::pair<int, int> SnapshotPosition::standing(const EventPage &page) const {
  // mutant: user-page-more
  return {0, page.merged->complete && !has_news(page) && !is_range_old_ ? 0 : 1};
}

std::string SnapshotPosition::cursor() const {
  return encode_snapshot_cursor(keys(), timeline_, user_, data_->since);
}

}  // namespace await::core
