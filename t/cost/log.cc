// What a PostgreSQL sends of its write-ahead log, and the snapshots beside it.

#include "core/pgoutput.h"
#include "core/snapshot_view.h"
#include "cost/measure.h"
#include "unit/pgoutput_messages.h"

namespace await::cost {
namespace {

using core::PgOutput;
namespace pgoutput = core::pgoutput;

const std::vector<std::string> kColumns{"class", "id", "xid"};

void decode(std::string_view message) {
  PgOutput decoder;
  bool good = static_cast<bool>(decoder.decode(message));
  keep(&good);
}

std::string row(std::size_t n) {
  std::vector<std::string> values(n, "x");
  for (const char *value : {"1", "01890000-0000-7000-8000-000000000001", "7"})
    values.emplace_back(value);
  return pgoutput::insert(1, values);
}

/// A job of a table with so many more columns, the last ones of which are the ones that count.
void decode_row(std::string_view message) {
  PgOutput decoder;
  decoder.decode(pgoutput::begin(7));
  std::vector<std::string> columns((message.size() - row(0).size()) / (row(1).size() - row(0).size()));
  columns.insert(columns.end(), kColumns.begin(), kColumns.end());
  decoder.decode(pgoutput::relation(1, "await", "job", columns));
  bool good = static_cast<bool>(decoder.decode(message));
  keep(&good);
}

std::string wide_table(std::size_t n) {
  return pgoutput::relation(1, "await", "job", std::vector<std::string>(n, "class"));
}

void parse_snapshot(std::string_view text) {
  auto view = core::SnapshotView::parse(text);
  bool sees = view && view->sees(500) && view->covers(*view);
  keep(&sees);
}

std::string snapshot(std::size_t n) {
  return "1:1000000:" + each(n, [&](auto i) { return (i > 0 ? "," : "") + std::to_string(i + 1); });
}

}  // namespace

std::vector<Case> log_cases() {
  return {
      {"log: a row of many columns", 500, row, decode_row, at_most(1 << 18)},
      {"log: a table of many columns", 800, wide_table, decode, at_most(16384)},
      {"log: a long name", 8000,
       [](std::size_t n) { return pgoutput::relation(1, std::string(n, 's'), "t", {}); }, decode,
       at_most(16384)},
      {"log: a table that does not end", 8000, [](std::size_t n) { return "R1234" + std::string(n, 'x'); },
       decode, at_most(16384)},
      {"log: a snapshot with many transactions", 2000, snapshot, parse_snapshot, times(4)},
      {"log: a snapshot of commas", 8000, [](std::size_t n) { return "1:2:" + std::string(n, ','); },
       parse_snapshot, at_most(16384)},
  };
}

}  // namespace await::cost
