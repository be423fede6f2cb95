#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/ports.h"

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
  /// Whether this relay leads: the condition of all that follows.
  virtual bool writable() const = 0;
  /// One for each sink; those that are new begin now. None: another relay leads.
  virtual void open(const std::vector<std::string> &sinks, core::Reply<std::vector<StoredCursor>> &reply) = 0;
  /// @param no  of the cursor that is stored
  virtual void advance(const std::string &sink, std::int64_t no, const Progress &progress,
                       core::Reply<Advanced> &reply) = 0;

 protected:
  ~Cursors() = default;
};

}  // namespace await::relay
