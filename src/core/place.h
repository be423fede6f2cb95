#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/job.h"

namespace await::core {

/// How far a client has read a job's events: begins where its cursor says, if that says anything here,
/// and holds on one timeline only, for a failover reuses numbers.
class Place {
 public:
  /// Whether a page continues what the client has: it does; it was read from elsewhere, so read again
  /// after(); or nothing says what the client has missed, and it must be told so (`reset`).
  enum class Fit { here, elsewhere, lost };

  /// What a history is like: a job's is kept whole; a topic's has no end, keeps its newest events only, and
  /// who comes without a cursor begins at the latest one.
  enum class Kind : bool { job, topic };

  Place(const Uuid &job, std::string cursor, Kind kind = Kind::job)
      : job_(job), had_cursor_(!cursor.empty()), topic_(kind == Kind::topic) {
    if (had_cursor_)
      cursor_ = std::make_unique<std::string>(std::move(cursor));
  }

  /// Takes the cursor for what it says on `timeline`. Before the first read.
  void aim(std::uint32_t timeline);
  /// The last seq the client has; 0: nothing.
  int after() const { return after_; }
  /// A page has come, read on `timeline`. After `lost` the client has everything up to the page's end; of a
  /// topic, up to the latest value, which comes next.
  Fit fit(const EventPage &page, std::uint32_t timeline);
  /// The client gets event `seq`. False: that is not the next one.
  bool take(int seq);
  /// Whether all of the page's events are due, and few: then they go out as they go to everybody, in one
  /// piece.
  bool takes_whole(const EventPage &page, std::size_t most_bytes) const;
  /// Whether the cursor named the job's last event, after which nothing will ever come.
  bool came_after_the_end(const EventPage &page) const;
  /// How far the client is now.
  std::string cursor() const;

 private:
  Uuid job_;
  std::unique_ptr<std::string> cursor_;  // as sent; null: from the start, or taken in
  std::optional<int> known(std::uint32_t timeline) const;
  /// Right before a topic's latest value.
  static int before_latest(const EventPage &page) { return std::max(1, page.last_seq - 1); }
  int after_ = 0;
  std::uint32_t timeline_ = 0;
  bool placed_ = false;
  bool had_cursor_;
  bool topic_;
};

}  // namespace await::core
