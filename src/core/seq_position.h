#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/continuity.h"
#include "core/job.h"
#include "core/kind.h"

namespace await::core {

/// The position of a client in the history of a job or a topic: the number of the last event that it has.
/// Numbers have no gaps, and are valid on one timeline only, because a failover reuses them. Without a cursor
/// a job is read from its first event, and a topic from its latest.
///
/// What on_page() does, first matching row of the state:
///
///   state      the page says                              result    next state  the client then has
///   unread     no cursor, a topic without an event        resumed   silent      1
///   unread     no cursor, a topic with events             reread    following   all before the latest event
///   unread     the cursor is unusable, or beyond the end  gap       *           see below
///   unread     the cursor names another seq than was read reread    unread      the seq of the cursor
///   unread     anything else                              resumed   following   the seq of the cursor, or 0
///   any other  another timeline, or ends before the seq   gap       *           see below
///   silent     no event                                   resumed   silent      the same
///   silent     events again, numbered from page.base on   resumed   following   everything up to page.base
///   following  anything else                              resumed   following   the same
///
/// A topic has two more rules, which come last: of a topic with only a latest value the events before it are
/// passed over, and a page whose first event is not the next one is a gap.
///
/// * After a gap the client has the whole job (up to page.last_seq), or all of the topic before its latest
/// event. The next state is following, or silent for a topic without an event.
///
/// `gone` is entered by mark_gone() and never left: the history is no longer kept, and nothing is read.
class SeqPosition {
 public:
  /// @param cursor  of this channel; empty: none
  SeqPosition(const Uuid &id, const std::string &cursor);

  /// Interprets the cursor on `timeline`. Call before the first read.
  void start(std::uint32_t timeline);
  /// A page has been read on `timeline`.
  Continuity on_page(const EventPage &page, std::uint32_t timeline);
  /// The client gets this event. False: it is not the next one.
  bool take(const Event &event) {
    // mutant: no-gap
    if (!is_next(event))
      return false;
    after_ = event.seq;
    return true;
  }
  /// Whether the client has the event already.
  bool has(const Event &event) const { return event.seq <= after_; }
  bool is_next(const Event &event) const { return event.seq == after_ + 1; }
  bool has_news(const EventPage &page) const { return page.last_seq > after_; }
  /// The seq of the last event that the client has; 0: none.
  int after() const { return after_; }
  /// What the client has seen, and the newest event, for Watcher::seen().
  std::pair<int, int> standing(const EventPage &page) const { return {after_, page.last_seq}; }
  /// Whether the client has the final event of the job.
  bool is_at_the_end(const EventPage &page) const { return is_ending(page.state) && after_ >= page.last_seq; }
  /// Whether it had that event before it connected.
  bool came_after_the_end(const EventPage &page) const { return had_cursor_ && is_at_the_end(page); }
  /// The history is no longer kept. False: the cursor says that the client knows.
  bool mark_gone(std::uint32_t timeline);
  std::string cursor() const;

 private:
  enum class State : std::uint8_t {
    unread,     // nothing has been read; `after_` is what the cursor says, as far as it is understood
    following,  // the client has everything up to `after_`
    silent,     // the same, and the topic had no event when it was last read
    gone,       // not kept any more
  };
  bool is_topic() const { return kind_of(id_) == Kind::topic; }
  std::optional<int> seq_of_cursor(std::uint32_t timeline) const;
  Continuity start_at_latest(const EventPage &page, std::uint32_t timeline);
  void pass_over(const EventPage &page);
  void skip_gap(const EventPage &page);
  static int before_latest(const EventPage &page) { return std::max(1, page.last_seq - 1); }
  static bool is_silent(const EventPage &page) { return page.last_seq <= 1; }
  /// Whether only the latest event of the topic counts.
  static bool is_latest_only(const EventPage &page) { return page.state == core::State::pending; }

  Uuid id_;
  std::unique_ptr<std::string> cursor_;  // as sent; null: none, or no longer needed
  int after_ = 0;
  std::uint32_t timeline_ = 0;
  State state_ = State::unread;
  bool had_cursor_;
};

}  // namespace await::core
