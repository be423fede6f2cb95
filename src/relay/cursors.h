#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ports.h"
#include "pg/connection.h"
#include "relay/leader.h"

namespace await::relay {

/// The stored cursor of a sink.
struct StoredCursor {
  std::string sink;
  std::int64_t no = 0;  ///< grows with each change
  std::string cursor;
};

/// What a sink has done since its cursor was last stored.
struct Progress {
  std::string cursor;  ///< empty: as it was
  std::int64_t delivered = 0;
  std::int64_t failures = 0;
  std::string reason;  ///< why it takes nothing at present; empty: it does
};

/// The outcome of Cursors::advance().
struct Advanced {
  bool leads = true;                        ///< false: another relay does; nothing was stored
  std::int64_t no = 0;                      ///< of the cursor that is stored now
  std::optional<std::string> other_cursor;  ///< it was set by an operator, to this; empty: removed
};

/// The cursors of the sinks in the database. All changes need the lead.
class Cursors {
 public:
  Cursors(pg::Connection &connection, Leader &leader) : connection_(connection), leader_(leader) {}

  /// Whether this relay leads: the condition of all that follows.
  bool writable() const { return leader_.leads(); }
  /// One for each sink; those that are new begin now. None: another relay leads.
  void open(const std::vector<std::string> &sinks, core::Reply<std::vector<StoredCursor>> &reply);
  /// @param no  of the cursor that is stored
  void advance(const std::string &sink, std::int64_t no, const Progress &progress,
               core::Reply<Advanced> &reply);

 private:
  pg::Connection &connection_;
  Leader &leader_;
};

}  // namespace await::relay
