#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "core/replication_stream.h"

namespace await::core {

/// An event, as the log names it: the key of a row of await.event, or of await.job with the seq 1, and the
/// transaction that has inserted it.
struct LoggedEvent {
  int retention = 0;  ///< the retention class
  Uuid job;
  int seq = 1;
  std::uint64_t xid = 0;
};

/// Decodes the output plugin pgoutput, protocol version 1, as far as it says which jobs and events are
/// inserted. Rows that were inserted by one transaction and name another are ignored: they come from a
/// restored dump or from another hand, and are visible in every snapshot. Source: PostgreSQL manual, 55.5 and
/// 55.9.
class PgOutput {
 public:
  struct Message {
    enum class What : std::uint8_t { other, event, commit };
    What what = What::other;
    LoggedEvent event;
    Lsn end = 0;  ///< of a commit: all transactions that have committed before it have been sent
  };

  /// Decodes the next message. Errors: invalid, if it is malformed or out of place; then the stream cannot be
  /// read any further.
  Result<Message> decode(std::string_view message);

 private:
  enum class Table : std::uint8_t { other, jobs, events };
  struct Columns {
    Table table = Table::other;
    int count = 0;
    int retention = -1, id = -1, seq = -1, xid = -1;  // their places
  };
  static constexpr std::size_t kMostTables = 1000;
  static constexpr int kMostColumns = 1600;  // of PostgreSQL: MaxHeapAttributeNumber

  Result<Message> decode_relation(std::string_view body);
  Result<Message> decode_insert(std::string_view body);
  static bool decode_row(std::string_view row, const Columns &columns, LoggedEvent &to);

  std::map<std::uint32_t, Columns> tables_;
  bool within_ = false;          // a transaction
  std::uint32_t short_xid_ = 0;  // of it: the low bits
};

}  // namespace await::core
