#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace await::core {

/// The transactions that a snapshot of the database sees, for arithmetic outside of it. Source: PostgreSQL
/// manual, 9.27.8 (pg_snapshot, pg_visible_in_snapshot).
class SnapshotView {
 public:
  /// Sees nothing.
  SnapshotView() = default;
  /// Parses the text form of pg_snapshot, `xmin:xmax:xip,xip,…`. Empty if it is anything else.
  static std::optional<SnapshotView> parse(std::string_view text);

  /// Whether the transaction had ended, if it has ever committed: then its rows are visible.
  bool sees(std::uint64_t xid) const;
  /// Whether it sees every transaction that `other` sees. True of a later snapshot of the same database.
  bool covers(const SnapshotView &other) const;
  /// All transactions before this one had ended.
  std::uint64_t xmin() const { return xmin_; }

 private:
  std::uint64_t xmin_ = 0;
  std::uint64_t xmax_ = 0;
  std::vector<std::uint64_t> running_;  // ascending, within the two
};

}  // namespace await::core
