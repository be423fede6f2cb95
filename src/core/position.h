#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/job.h"
#include "core/kind.h"
#include "core/read_batcher.h"
#include "core/snapshot_cursor.h"

namespace await::core {

/// How far a client has read a history: begins where its cursor says, if that says anything here, and holds
/// on one timeline only, for a failover reuses numbers. Who comes without a cursor begins at a job's start,
/// at a topic's latest value, and with what a user's jobs do from now on.
class Position {
 public:
  /// Whether a page continues what the client has: it does; it was read from elsewhere, so read again
  /// (seek()); or nothing says what the client has missed, and it must be told so (`reset`).
  enum class Fit { here, elsewhere, lost };

  /// @param id  of the history
  /// @param cursor  as sent, of this history or of several; empty: none
  /// @param owner  whose jobs, of a user's
  /// @param keys  that sign a user's cursors, as far as they are known; outlive this
  Position(const Uuid &id, std::string cursor, std::string_view owner = {}, const CursorKeys *keys = nullptr);

  /// Takes the cursor for what it says on `timeline`. Before the first read.
  void aim(std::uint32_t timeline);
  /// Has `need` read what comes next.
  void seek(EventRead &need) const {
    need.after = after_;
    need.since = since_.get();
  }
  /// The last seq the client has; 0: nothing. Of a job or a topic.
  int after() const { return after_; }
  /// A page has come, read on `timeline`. After `lost` the client has everything up to the page's end; of a
  /// topic, up to the latest value, which comes next.
  Fit fit(const EventPage &page, std::uint32_t timeline);
  /// The client gets this event of the page. False: that is not the next one.
  bool take(const EventPage &page, const Event &event);
  /// Gives the events of the page that are due, one after the other, as long as `more` says so.
  template <class More, class Give>
  void advance(const EventPage &page, More more, Give give);
  /// Whether all of the page's events are due, and few: then they go out as they go to everybody, in one
  /// piece.
  bool takes_whole(const EventPage &page, std::size_t most_bytes) const;
  /// Whether there is something in the page that the client has not.
  bool has_news(const EventPage &page) const;
  /// What Watcher::seen() is to be told: what the client has, and where the history stands.
  std::pair<int, int> standing(const EventPage &page) const;
  /// Whether the client has the job's last event, after which nothing will ever come.
  bool is_at_the_end(const EventPage &page) const { return is_ending(page.state) && after_ >= page.last_seq; }
  /// And had it before it came: the cursor named it.
  bool came_after_the_end(const EventPage &page) const { return had_cursor_ && is_at_the_end(page); }
  /// The history is no longer kept: there is nothing to read. False: its client knows.
  bool mark_gone(std::uint32_t timeline);
  /// How far the client is now.
  std::string cursor() const;

 private:
  /// Of a user's.
  struct Standing : SnapshotCursor {
    const CursorKeys *keys = nullptr;
    std::span<const SipKey> signers() const {
      return keys != nullptr ? std::span<const SipKey>(*keys) : std::span<const SipKey>();
    }
  };
  std::optional<int> known(std::uint32_t timeline) const;
  void aim_user(std::uint32_t timeline);
  Fit fit_user(const EventPage &page, std::uint32_t timeline);
  void pass();
  bool passed(const Event &event) const;
  /// Right before a topic's latest value.
  static int before_latest(const EventPage &page) { return std::max(1, page.last_seq - 1); }
  static bool is_silent(const EventPage &page) { return page.last_seq <= 1; }
  /// Of a topic of which only the latest value counts.
  static bool is_latest_only(const EventPage &page) { return page.state == State::pending; }

  Uuid id_;
  std::unique_ptr<std::string> cursor_;  // as sent; null: from the start, or taken in
  std::unique_ptr<Standing> since_;      // of a user's
  int after_ = 0;
  std::uint32_t timeline_ = 0;
  bool placed_ = false;
  bool had_cursor_;
  bool older_ = false;  // a user's page ends at a moment of before: there may be more
  bool lost_ = false;   // it is to be told so once it is known from where a user's goes on
  bool blank_ = false;  // when last read the topic had no event, as the client knows
  bool past_ = false;   // nothing of a user's page that is being given is due any more
};

template <class More, class Give>
void Position::advance(const EventPage &page, More more, Give give) {
  if (after_ == 0 && !since_) {  // the job's own row is event 1
    Event first = first_event(page);
    if (take(page, first))
      give(first);
  }
  for (const Event &event : page.events) {
    if (passed(event))
      continue;  // it shares a page with somebody who has read less
    if (!more() || !take(page, event))
      break;
    give(event);
  }
}

}  // namespace await::core
