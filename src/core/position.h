#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/job.h"
#include "core/read_batcher.h"
#include "core/seq_position.h"
#include "core/snapshot_position.h"

namespace await::core {

/// How far a client has read a channel: a SeqPosition for a job or a topic, a SnapshotPosition for a user.
/// Those have the state tables. Every held client has one for each of its channels, so the two share the
/// space.
class Position {
 public:
  /// @param id  of the channel
  /// @param cursor  as sent, of this channel or of several; empty: none
  /// @param owner  of a user's channel
  /// @param keys  for signatures of a user's cursors, as far as they are known; must outlive this
  Position(const Uuid &id, std::string cursor, std::string_view owner = {}, const CursorKeys *keys = nullptr);

  /// Interprets the cursor on `timeline`. Call before the first read.
  void start(std::uint32_t timeline);
  /// Makes `read` continue from here. `read` points into this afterwards.
  void prepare(EventRead &read) const;
  /// A page has been read on `timeline`. After Continuity::gap the client counts as having everything up to
  /// the end of the page; of a topic, up to its latest event, which comes next.
  Continuity on_page(const EventPage &page, std::uint32_t timeline);

  /// The client gets this event of the page. False: it is not the next one.
  bool take(const EventPage &page, const Event &event);
  /// Takes the events of the page that are due, one after the other, while `more()` is true, and passes each
  /// to `give`.
  template <class More, class Give>
  void advance(const EventPage &page, More more, Give give);
  /// Whether all events of the page are due, and few and small enough to be sent together.
  bool takes_whole(const EventPage &page, std::size_t most_bytes) const;

  /// Whether the page has an event that the client does not have.
  bool has_news(const EventPage &page) const;
  /// The arguments for Watcher::seen().
  std::pair<int, int> standing(const EventPage &page) const;
  /// The seq of the last event that the client has; 0: none, or a user's channel.
  int after() const;
  /// Whether the client has the final event of the job: nothing will follow.
  bool is_at_the_end(const EventPage &page) const;
  /// Whether it had that event before it connected.
  bool came_after_the_end(const EventPage &page) const;
  /// The job is no longer kept; nothing is read. False: the cursor says that the client knows.
  bool mark_gone(std::uint32_t timeline);
  std::string cursor() const;

 private:
  using Any = std::variant<SeqPosition, SnapshotPosition>;
  static Any make(const Uuid &id, const std::string &cursor, std::string_view owner, const CursorKeys *keys);
  const SeqPosition *seq() const { return std::get_if<SeqPosition>(&any_); }
  SeqPosition *seq() { return std::get_if<SeqPosition>(&any_); }
  const SnapshotPosition &snapshot() const { return *std::get_if<SnapshotPosition>(&any_); }
  SnapshotPosition &snapshot() { return *std::get_if<SnapshotPosition>(&any_); }
  bool has(const Event &event) const { return seq() != nullptr ? seq()->has(event) : snapshot().has(event); }

  Any any_;
};

template <class More, class Give>
void Position::advance(const EventPage &page, More more, Give give) {
  if (seq() != nullptr && seq()->after() == 0) {  // event 1 is the row of the job itself
    Event first = first_event(page);
    if (take(page, first))
      give(first);
  }
  for (const Event &event : page.events) {
    if (has(event))
      continue;  // the page is shared with a client that has read less
    if (!more() || !take(page, event))
      break;
    give(event);
  }
}

}  // namespace await::core
