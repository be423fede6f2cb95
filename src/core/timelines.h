#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::core {

/// Whether two timelines (see timeline_hash()) are of the same database of the same system, so that one of
/// them may be older.
bool same_database(std::string_view one, std::string_view other);
/// Whether `one` is an earlier timeline of the same database than `other`: there was a failover.
bool is_older(std::string_view one, std::string_view other);

/// The timelines that a node has seen, in the order in which they came. A server on an earlier one is a
/// former primary, which has come back or was never fenced. Lives in shared memory: all bytes zero is empty.
class Timelines {
 public:
  static constexpr std::size_t kMost = 16;
  static constexpr std::size_t kMostName = 127;

  /// Whether the database may be on this timeline now: it is the newest of its database that was seen, or
  /// newer, which is remembered. Of two timelines with the same number, the one that was seen later is newer.
  bool accept(std::string_view name);

 private:
  std::string_view name(std::size_t i) const { return {names_[i], sizes_[i]}; }

  std::uint32_t count_;
  std::uint8_t sizes_[kMost];
  char names_[kMost][kMostName];
};

}  // namespace await::core
