#include "relay/pg_cursors.h"

#include <memory>
#include <utility>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::relay {
namespace {

Result<std::vector<StoredCursor>> decode_open(const pg::Rows &rows, std::size_t) {
  std::vector<StoredCursor> out;
  for (int row = 0; row < rows.count(); ++row)
    out.push_back({rows.text(row, 0), rows.number(row, 1), rows.text(row, 2)});
  return out;
}

Result<Advanced> decode_advance(const pg::Rows &rows, std::size_t) {
  Advanced out;
  out.leads = rows.count() == 1;
  if (!out.leads)
    return out;
  out.no = rows.number(0, 1);
  if (!rows.boolean(0, 0))
    out.other_cursor = rows.text(0, 2);
  return out;
}

}  // namespace

void PgCursors::open(const std::vector<std::string> &sinks, core::Reply<std::vector<StoredCursor>> &reply) {
  pg::ArrayWriter names(pg::kText);
  for (const std::string &sink : sinks)
    names.bytes(sink);
  pg::Params params;
  params.text(leader_.relay()).int8(leader_.token()).array(pg::kTextArray, std::move(names));
  connection_.send(std::make_unique<pg::Call<std::vector<StoredCursor>>>(
      pg::statements::kRelayOpen, std::move(params), reply, decode_open));
}

void PgCursors::advance(const std::string &sink, std::int64_t no, const Progress &progress,
                        core::Reply<Advanced> &reply) {
  pg::Params params;
  params.text(leader_.relay()).int8(leader_.token()).text(sink).int8(no);
  progress.cursor.empty() ? params.null(pg::kText) : params.text(progress.cursor);
  params.int4(progress.delivered).int4(progress.failures);
  progress.reason.empty() ? params.null(pg::kText) : params.text(progress.reason);
  connection_.send(std::make_unique<pg::Call<Advanced>>(pg::statements::kRelayAdvance, std::move(params),
                                                        reply, decode_advance));
}

}  // namespace await::relay
