// Cursors of users: whatever is understood is what PostgreSQL would take (t/contract asks it), what was
// issued, and signed.

#include "core/snapshot_cursor.h"

#include "base/text.h"
#include "fuzz/forged.h"
#include "fuzz/input.h"

namespace {

const await::core::CursorKeys kKeys = {{1, 2}, {3, 4}};

/// As pg_snapshot's own input has it: xmin <= xmax, both transactions, numbers that grow between them.
bool is_snapshot(std::string_view text) {
  auto xmin = await::parse_number(await::cut(text, ':'));
  auto xmax = await::parse_number(await::cut(text, ':'));
  auto is_xid = [](std::int64_t xid) { return static_cast<std::uint32_t>(xid) != 0; };
  if (!xmin || !xmax || !is_xid(*xmin) || !is_xid(*xmax) || *xmax < *xmin)
    return false;
  std::int64_t last = 0;
  while (!text.empty()) {
    auto xid = await::parse_number(await::cut(text, ','));
    if (!xid || *xid < *xmin || *xid >= *xmax || *xid <= last)
      return false;
    last = *xid;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  Uuid::Raw raw{};
  raw[15] = static_cast<std::uint8_t>(in.byte());
  Uuid user(raw);
  std::uint32_t timeline = in.byte();
  core::SnapshotCursor since;
  since.eid = in.byte() << 8 | in.byte();
  core::Snapshot *snapshots[] = {&since.seen, &since.reading};
  for (core::Snapshot *snapshot : snapshots) {
    std::uint64_t xmin = 3 + (in.byte() << 8 | in.byte());
    std::uint64_t xid = xmin;
    std::string running;
    for (unsigned n = in.byte() % 70; n > 0; --n) {
      running += (running.empty() ? "" : ",") + std::to_string(xid);
      xid += 1 + in.byte();
    }
    snapshot->text = std::to_string(xmin) + ":" + std::to_string(xid) + ":" + running;
    snapshot->at_s = in.byte();
  }
  std::string cursor = core::encode_snapshot_cursor(kKeys, timeline, user, since);
  fuzz::must(cursor.size() <= 512, "a cursor too long");
  auto back = core::decode_snapshot_cursor(kKeys, cursor, timeline, user);
  fuzz::must(
      cursor == "busy" || (back && back->seen.text == since.seen.text && back->eid == since.eid &&
                           back->reading.text == since.reading.text && back->seen.at_s == since.seen.at_s),
      "a cursor that was issued");
  fuzz::must(!core::decode_snapshot_cursor(kKeys, cursor, timeline + 1, user),
             "a cursor of another timeline");
  fuzz::must(cursor == "busy" || core::names_user(cursor, user), "whose it is");
  core::CursorKeys renewed = {{5, 6}, kKeys[0]};
  fuzz::must(cursor == "busy" || core::decode_snapshot_cursor(renewed, cursor, timeline, user),
             "the key before");
  fuzz::must(!core::decode_snapshot_cursor(std::span(kKeys).last(1), cursor, timeline, user), "another key");

  // what nobody issued, behind a head that is right
  core::SnapshotCursor head;
  head.seen.text = "3:3:";
  auto bytes = from_base64url(core::encode_snapshot_cursor(kKeys, timeline, user, head));
  std::string unsigned_bytes = bytes->substr(0, 13) + std::string(in.rest());
  fuzz::must(!core::decode_snapshot_cursor(kKeys, base64url(unsigned_bytes), timeline, user),
             "a cursor that nobody signed");
  if (auto known =
          core::decode_snapshot_cursor(kKeys, fuzz::forged(kKeys[1], unsigned_bytes, user), timeline, user)) {
    fuzz::must(is_snapshot(known->seen.text), "no snapshot");
    fuzz::must(known->reading.text.empty() || is_snapshot(known->reading.text), "no second snapshot");
    fuzz::must(known->eid >= 0, "a negative eid");
  }
  return 0;
}
