#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/pgoutput.h"
#include "core/snapshot_view.h"
#include "relay/relay_event.h"

namespace await::relay {

/// The events of the last moments, as the write-ahead log and the tables say together, for all sinks: the log
/// names them at their commit, and they are read from the tables when a snapshot sees them. (The log may be
/// ahead: a transaction that waits for a synchronous standby is in it, and not visible.) They are *released*
/// in the order in which they became visible, so the events of a job are in order.
///
/// A sink reads them from a place on, if it has all that came before: attach() decides, by the snapshot up to
/// which the sink has the tables. Of a sink that is too slow, or of a burst that is too large, events are
/// dropped; then the sink goes back to the tables until it attaches again.
///
/// Bounded by the number of events that are not released, and by the number and the bytes of those that are.
class RecentEvents {
 public:
  struct Limits {
    std::size_t waiting = 65'536;   ///< events that are not released
    std::size_t released = 65'536;  ///< events that are
    std::size_t bytes = 64UL * 1024 * 1024;
    std::size_t page_bytes = 4UL * 1024 * 1024;  ///< about; a page has at least one event
  };
  /// An event that is to be read from the tables, and its number in the order of the log.
  struct Due {
    core::LoggedEvent event;
    std::uint64_t number;
  };
  /// What was read from the tables, in one snapshot.
  struct Reading {
    std::string snapshot;     ///< as text
    core::SnapshotView view;  ///< the same
    core::Lsn upto = 0;       ///< where the log ended, after the snapshot was taken
    /// These were looked for …
    std::vector<Due> looked_for;
    /// … and those of them are there, in the same order, that the snapshot sees, unless they were deleted.
    std::vector<RelayEvent> events;
  };
  /// A position among the released events.
  using Place = std::uint64_t;

  RecentEvents() = default;
  explicit RecentEvents(Limits limits) : limits_(limits) {}

  /// Forgets everything: a new stream begins. Nobody attaches before start().
  void reset();
  /// Grows whenever everything is forgotten, by reset() or because of a burst that is too large: answers to
  /// what was asked before are then of no use.
  std::uint64_t generation() const { return generation_; }
  /// Whether start() is to be called, with a transaction number that the database assigns after this moment.
  bool wants_start() const { return !start_; }
  /// All transactions with higher numbers come in the log, and have not been forgotten.
  void start(std::uint64_t xid) { start_ = xid; }

  /// The next message of the log.
  void on_event(const core::LoggedEvent &event);
  /// Everything that committed before has been in the log so far.
  void on_position(core::Lsn position);

  /// What is to be read from the tables, at most `most` events. Followed by on_reading(), with all or the
  /// first of them, or by another take_due(). None while nobody is attached, or while no snapshot is known
  /// that sees more.
  std::vector<Due> take_due(std::size_t most);
  bool has_due() const { return attached_ > 0 && (arrivals_ > asked_ || sees_waiting_); }
  /// Whether a reading without events would bring something: transactions that were not visible may be, or
  /// the log has moved since the last mark.
  bool wants_snapshot() const {
    return has_unseen() || (attached_ > 0 && !candidate_ && position_ > marked_);
  }
  /// Whether events were released after the last mark.
  bool has_unmarked() const { return marks_.empty() ? !released_.empty() : marks_.back().place < next(); }
  /// Whether there are transactions that no snapshot has seen yet.
  bool has_unseen() const { return attached_ > 0 && !waiting_.empty(); }
  /// Returns whether there is news for those who are attached: events, or a cursor.
  bool on_reading(Reading reading);
  /// After on_position(): whether the log has come to where the newest snapshot was taken, so that there is a
  /// cursor.
  bool settle_mark();

  /// The place from which a sink reads that has everything that `seen` sees, from the tables. Empty: there
  /// are events between that are not known here. Followed by detach().
  std::optional<Place> attach(const core::SnapshotView &seen);
  void detach() { --attached_; }
  /// Whether all events from `place` on are still here.
  bool holds(Place place) const { return place >= first_; }

  struct Page {
    std::vector<RelayEvent> events;
    Place next = 0;  ///< from where to go on
    bool complete = true;
  };
  /// The released events from a place on that `seen` does not see, at most `limit`; up to a mark, if there is
  /// one.
  Page read(Place place, std::size_t limit, const core::SnapshotView &seen) const;
  struct Mark {
    std::string snapshot;
    core::SnapshotView view;
    Place place;  ///< all that the snapshot sees is before it
  };
  /// The newest mark at this place: a sink that has everything before it has everything that its snapshot
  /// sees. Null: there is none.
  const Mark *mark(Place place) const;

 private:
  struct Released {
    RelayEvent event;
    std::uint64_t xid;
    std::size_t bytes;
  };
  struct Candidate {
    std::string snapshot;
    core::SnapshotView view;
    core::Lsn upto;
    std::optional<std::uint64_t> arrived;  // the log has got there: with the events before this number
  };
  static constexpr std::size_t kMostMarks = 1000;

  bool release_found(Reading &reading);
  void release(RelayEvent event, std::uint64_t xid);
  Place end_of_page(Place place, std::size_t limit) const;
  void drop_released();
  void forget_events();
  void forget_what_is_seen(const core::SnapshotView &view);
  Place next() const { return first_ + released_.size(); }

  Limits limits_;
  std::uint64_t generation_ = 0;
  std::optional<std::uint64_t> start_;
  core::SnapshotView dropped_;  // sees every event that was released and is no longer here
  core::SnapshotView newest_;   // sees everything that was released
  std::deque<Due> waiting_;
  std::uint64_t arrivals_ = 0;
  std::uint64_t asked_ = 0;    // of the earlier arrivals it is known whether the newest snapshot sees them
  bool sees_waiting_ = false;  // it does, some of them
  std::deque<Released> released_;
  Place first_ = 0;  // of `released_`
  std::size_t bytes_ = 0;
  int attached_ = 0;
  core::Lsn position_ = 0;
  core::Lsn marked_ = 0;
  std::optional<Candidate> candidate_;
  std::deque<Mark> marks_;
};

}  // namespace await::relay
