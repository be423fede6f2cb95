// Cursors: nothing that was not issued is understood, everything that was issued is.

#include "core/cursor.h"
#include "core/multi_cursor.h"

#include <cstring>

#include "base/text.h"
#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace await;
  fuzz::Input in(data, size);
  Uuid::Raw raw;
  for (auto &byte : raw)
    byte = static_cast<std::uint8_t>(in.byte());
  raw[6] = (raw[6] & 0x0f) | 0x70;  // a job's
  raw[8] = (raw[8] & 0x3f) | 0x80;
  Uuid job(raw);
  std::uint32_t timeline = in.byte() << 8 | in.byte();
  int seq = static_cast<int>(in.byte() << 16 | in.byte() << 8 | in.byte());
  std::string cursor = core::encode_cursor(timeline, job, seq);
  fuzz::must(cursor.size() <= 512, "a cursor too long");
  fuzz::must(core::decode_cursor(cursor, timeline, job) == seq, "a cursor that was issued");
  fuzz::must(!core::decode_cursor(cursor, timeline + 1, job), "a cursor of another timeline");
  raw[0] ^= 0x80;
  Uuid other(raw);
  std::string both = core::join_cursors({core::encode_cursor(timeline, other, seq / 2), cursor});
  fuzz::must(core::cursor_for(job, both) == cursor, "the second of two");
  fuzz::must(core::decode_cursor(core::cursor_for(other, both), timeline, other) == seq / 2, "the first");
  std::string part = core::cursor_for(job, std::string(in.rest()));
  fuzz::must(part == "." || in.rest().find(part) != std::string_view::npos, "a part from nowhere");
  if (auto known = core::decode_cursor(in.rest(), timeline, job)) {
    fuzz::must(*known >= 0, "a negative seq");
    fuzz::must(core::encode_cursor(timeline, job, *known) == in.rest(), "a cursor that was never issued");
  }
  return 0;
}
