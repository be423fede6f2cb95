// Whatever a server sends as a replication stream is decoded or refused, and what is decoded makes sense; and
// a snapshot that is accepted keeps the rules of arithmetic.

#include "core/pgoutput.h"

#include <string>

#include "core/snapshot_view.h"
#include "fuzz/input.h"
#include "unit/pgoutput_messages.h"

namespace {

using namespace await::core;
using await::fuzz::must;

std::string message(await::fuzz::Input &in) {
  switch (in.byte() % 8) {
    case 0:
      return pgoutput::begin(in.byte());
    case 1:
      return pgoutput::commit(in.byte());
    case 2:
      return pgoutput::relation(in.byte() % 4, "await", in.byte() % 2 != 0 ? "job" : "event",
                                {"class", "id", "seq", std::string(in.text()), "xid"});
    case 3:
      return pgoutput::insert(in.byte() % 4, {"1", "01890000-0000-7000-8000-000000000001",
                                              std::string(in.text()), "x", std::to_string(in.byte())});
    default:
      return std::string(in.text());
  }
}

void stream(await::fuzz::Input in) {
  PgOutput decoder;
  while (!in.empty()) {
    std::string wrapped = "w" + std::string(24, '\0') + message(in);
    auto outer = decode_stream_message(wrapped);
    must(outer && outer->payload.size() == wrapped.size() - 25, "data is not handed on");
    auto decoded = decoder.decode(outer->payload);
    if (!decoded)
      return;
    if (decoded->what != PgOutput::Message::What::event)
      continue;
    must(decoded->event.seq >= 1 && decoded->event.xid >= 1, "an event without a number");
    must(decoded->event.retention >= 0 && decoded->event.retention <= 3, "no such retention class");
  }
}

void snapshot(await::fuzz::Input in) {
  std::uint64_t xid = in.byte();
  auto one = SnapshotView::parse(in.text());
  auto other = SnapshotView::parse(in.text());
  if (!one || !other)
    return;
  must(one->covers(*one), "a snapshot does not see what it sees");
  must(one->xmin() == 0 || one->sees(one->xmin() - 1), "what has ended is not seen");
  must(!one->covers(*other) || !other->sees(xid) || one->sees(xid), "covered, and sees less");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  await::fuzz::Input in(data, size);
  decode_stream_message(in.rest());
  PgOutput().decode(in.rest());
  stream(in);
  snapshot(in);
  if (auto lsn = parse_lsn(in.rest()))
    must(parse_lsn(format_lsn(*lsn)) == lsn, "a position that is not itself");
  return 0;
}
