#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/continuity.h"
#include "core/job.h"
#include "core/snapshot_cursor.h"

namespace await::core {

/// The position of a client in a user's channel: a snapshot of the database whose events it has (`seen`), a
/// later one up to which it is reading (`reading`, while a range takes several pages), and the last event of
/// that range that it has (`eid`). Valid on one timeline. Without a cursor, reading starts now.
///
/// What on_page() does, first matching row of the state:
///
///   state    the page says                            result    next state  reads then continue
///   unread   it was read on another timeline than     reread    unread      from the cursor
///            the one for which the cursor was read
///   any      a gap, in a range that began earlier     reread    restarting  from now on
///   any      a gap, otherwise                         gap       past_page   from the snapshot of the page
///   any      there was no cursor and no page before   resumed   past_page   from the snapshot of the page
///   any      the end of a range, without events       resumed   past_page   from the snapshot of the page
///   any      anything else                            resumed   in_page     after the events of the page
///
/// There is a gap if the state is restarting, the page says that its start is no longer kept, the timeline
/// has changed, or the cursor of an unread position is unusable. in_page becomes past_page when take() gets
/// the last event of the last page of a range.
class SnapshotPosition {
 public:
  /// @param user  await.user_id()
  /// @param cursor  of this channel; empty: none
  /// @param keys  for signatures of cursors, as far as they are known; must outlive this; may be null
  SnapshotPosition(const Uuid &user, const std::string &cursor, std::string_view owner,
                   const CursorKeys *keys);

  /// Interprets the cursor on `timeline`. Call before the first read.
  void start(std::uint32_t timeline);
  /// A page has been read on `timeline`.
  Continuity on_page(const EventPage &page, std::uint32_t timeline);
  /// The client gets this event of the page. False: it has it already.
  bool take(const EventPage &page, const Event &event);
  /// Whether the client has the event already.
  bool has(const Event &event) const {
    return state_ == State::past_page || event.origin->eid <= data_->since.eid;
  }
  bool has_news(const EventPage &page) const { return !page.events.empty() && !has(page.events.back()); }
  /// What a read continues from. Stays where it is for the lifetime of the position.
  const SnapshotCursor &since() const { return data_->since; }
  /// For Watcher::seen(): {0, 1} if there may be more to read, otherwise {0, 0}.
  std::pair<int, int> standing(const EventPage &page) const;
  std::string cursor() const;

 private:
  enum class State : std::uint8_t {
    unread,      // nothing has been read
    restarting,  // the client has missed events; it is told so with the next page, which says from where it
                 // continues
    in_page,     // events of the last page are still due
    past_page,   // none are
  };
  struct Data {
    SnapshotCursor since;
    std::unique_ptr<std::string> cursor;  // as sent; null: none, or no longer needed
    const CursorKeys *keys;
  };
  std::span<const SipKey> keys() const {
    return data_->keys != nullptr ? std::span<const SipKey>(*data_->keys) : std::span<const SipKey>();
  }
  void finish_range();

  Uuid user_;
  std::unique_ptr<Data> data_;
  std::uint32_t timeline_ = 0;
  State state_ = State::unread;
  bool had_cursor_;
  bool is_range_old_ =
      false;  // the range of the last page was begun by an earlier page: newer events may exist
};

}  // namespace await::core
