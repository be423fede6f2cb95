#include "core/pgoutput.h"

#include <string>

#include "base/text.h"
#include "core/byte_reader.h"

namespace await::core {
namespace {

Error malformed(const char *what) { return Error{Code::invalid, std::string("pgoutput: ") + what}; }

}  // namespace

Result<PgOutput::Message> PgOutput::decode(std::string_view message) {
  ByteReader in(message);
  Message out;
  switch (in.letter()) {
    case 'B':
      in.bytes(16);  // the end of the transaction, its time
      short_xid_ = static_cast<std::uint32_t>(in.number(4));
      if (!in.over() || within_)
        return malformed("a bad beginning of a transaction");
      within_ = true;
      return out;
    case 'C':
      in.bytes(1 + 8);  // flags, the commit
      out.end = in.number(8);
      in.bytes(8);  // the time
      if (!in.over() || !within_)
        return malformed("a bad end of a transaction");
      within_ = false;
      out.what = Message::What::commit;
      return out;
    case 'R':
      return decode_relation(in.rest());
    case 'I':
      return decode_insert(in.rest());
    case 'M':
    case 'O':
    case 'Y':
    case 'U':
    case 'D':
    case 'T':
      return out;
    default:
      return malformed("an unknown message");
  }
}

Result<PgOutput::Message> PgOutput::decode_relation(std::string_view body) {
  ByteReader in(body);
  auto id = static_cast<std::uint32_t>(in.number(4));
  std::string_view schema = in.text();
  std::string_view name = in.text();
  in.bytes(1);  // the replica identity
  Columns columns;
  columns.count = static_cast<int>(in.number(2));
  for (int i = 0; i < columns.count && in.good(); ++i) {
    in.bytes(1);  // flags
    std::string_view column = in.text();
    in.bytes(8);  // type and modifier
    int *place = column == "class"                   ? &columns.retention
                 : column == "id" || column == "job" ? &columns.id
                 : column == "seq"                   ? &columns.seq
                 : column == "xid"                   ? &columns.xid
                                                     : nullptr;
    if (place != nullptr)
      *place = i;
  }
  if (!in.over() || columns.count > kMostColumns)
    return malformed("a bad description of a table");
  if (schema == "await" && (name == "job" || name == "event"))
    columns.table = name == "job" ? Table::jobs : Table::events;
  bool events = columns.table == Table::events;
  if (columns.table != Table::other &&
      (columns.retention < 0 || columns.id < 0 || columns.xid < 0 || (events && columns.seq < 0)))
    return malformed("a table lacks a column: the publication is not that of `await-ctl relay wal on`");
  if (tables_.size() >= kMostTables && tables_.find(id) == tables_.end())
    return malformed("too many tables");
  tables_[id] = columns;
  return Message();
}

Result<PgOutput::Message> PgOutput::decode_insert(std::string_view body) {
  ByteReader in(body);
  auto table = tables_.find(static_cast<std::uint32_t>(in.number(4)));
  char kind = in.letter();
  if (!in.good() || kind != 'N' || !within_)
    return malformed("a bad row");
  if (table == tables_.end())
    return malformed("a row of a table that was not described");
  Message out;
  if (table->second.table == Table::other)
    return out;
  if (!decode_row(in.rest(), table->second, out.event))
    return malformed("a bad row");
  if (static_cast<std::uint32_t>(out.event.xid) == short_xid_)
    out.what = Message::What::event;
  return out;
}

bool PgOutput::decode_row(std::string_view row, const Columns &columns, LoggedEvent &to) {
  ByteReader in(row);
  if (static_cast<int>(in.number(2)) != columns.count)
    return false;
  bool events = columns.table == Table::events;
  bool good = true;
  for (int i = 0; i < columns.count && in.good(); ++i) {
    char kind = in.letter();
    std::string_view value = kind == 't' ? in.bytes(in.number(4)) : std::string_view();
    good = good && (kind == 't' || kind == 'n' || kind == 'u');
    auto number = [&](std::int64_t least, std::int64_t most) {
      auto parsed = parse_number(value, most);
      good = good && parsed && *parsed >= least;
      return good ? *parsed : 0;
    };
    if (i == columns.retention) {
      to.retention = static_cast<int>(number(0, 3));
    } else if (i == columns.id) {
      auto id = Uuid::parse(value);
      good = good && id;
      to.job = id.value_or(Uuid());
    } else if (i == columns.seq && events) {
      to.seq = static_cast<int>(number(2, INT32_MAX));
    } else if (i == columns.xid) {
      to.xid = static_cast<std::uint64_t>(number(1, INT64_MAX));
    }
  }
  return good && in.over();
}

}  // namespace await::core
