#include <gtest/gtest.h>

#include "base/text.h"
#include "core/snapshot_cursor.h"
#include "fuzz/forged.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

TEST(SnapshotCursor, decodes_to_what_was_encoded) {
  Uuid user = named_id(0xfe, 2);
  for (SnapshotCursor since :
       {SnapshotCursor{"", {"3:3:", 0}, {}, 0},
        SnapshotCursor{"", {"100:200:100,150,199", 1764000000}, {}, 0},
        SnapshotCursor{"", {"5:9:6", 7}, {"8:1000000000000:8,9,999999999999", 8}, INT64_C(1) << 60}}) {
    auto back = decode_snapshot_cursor(kKeys, encode_snapshot_cursor(kKeys, 7, user, since), 7, user);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->seen.text, since.seen.text);
    EXPECT_EQ(back->seen.at_s, since.seen.at_s);
    EXPECT_EQ(back->reading.text, since.reading.text);
    EXPECT_EQ(back->eid, since.eid);
  }
  std::string busy = "1000:900000:";
  for (int xid = 1000; xid < 800000; xid += 1000)
    busy += (xid == 1000 ? "" : ",") + std::to_string(xid);
  EXPECT_EQ(encode_snapshot_cursor(kKeys, 7, user, {"", {busy, 0}, {}, 0}), "busy")
      << "799 transactions under way";
}

TEST(SnapshotCursor, is_accepted_if_signed_with_any_of_the_keys) {
  Uuid user = named_id(0xfe, 2);
  SnapshotCursor since{"", {"5:9:6", 7}, {}, 0};
  CursorKeys old = {{1, 2}}, renewed = {{3, 4}, {1, 2}}, later = {{5, 6}, {3, 4}};
  std::string cursor = encode_snapshot_cursor(old, 7, user, since);
  EXPECT_TRUE(decode_snapshot_cursor(renewed, cursor, 7, user)) << "the key before";
  EXPECT_FALSE(decode_snapshot_cursor(later, cursor, 7, user));
  EXPECT_TRUE(decode_snapshot_cursor(later, encode_snapshot_cursor(renewed, 7, user, since), 7, user))
      << "the first signs";
  EXPECT_FALSE(decode_snapshot_cursor({}, cursor, 7, user)) << "no key is known yet";
  EXPECT_EQ(encode_snapshot_cursor({}, 7, user, since), "busy");
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    std::string other = cursor;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_snapshot_cursor(old, other, 7, user)) << "one letter of it, " << i;
    EXPECT_FALSE(decode_snapshot_cursor(old, cursor.substr(0, i), 7, user));
  }
}

// PostgreSQL refuses a snapshot whose xmin or xmax has nothing in its lower half, and with it the whole
// batch.
TEST(SnapshotCursor, snapshots_that_postgresql_would_reject_are_rejected) {
  Uuid user = named_id(0xfe, 2);
  constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;
  struct {
    std::vector<std::uint64_t> numbers;  // xmin, xmax - xmin, how many, steps
    bool good;
  } table[] = {
      {{3, 0, 0}, true},
      {{1, 0, 0}, true},
      {{0, 3, 0}, false},
      {{3, kEpoch - 3, 0}, false},
      {{3, 2 * kEpoch - 3, 0}, false},
      {{kEpoch, 5, 0}, false},
      {{kEpoch + 1, 0, 0}, true},
      {{kEpoch - 1, 2, 1, 1}, true},  // between them it may be so
      {{kEpoch - 1, 1, 0}, false},
      {{7 * kEpoch, kEpoch, 0}, false},
      {{3, 4, 1, 4}, false},
      {{3, 4, 2, 1, 0}, false},
      {{3, 4, 2, 0, 3}, true},
      {{3, 4, 2, 0, 4}, false},
      {{3, 4, 513}, false},
      {{3, std::uint64_t{1} << 62, 0}, false},
  };
  CursorKeys keys = {{1, 2}};
  std::string head = *from_base64url(encode_snapshot_cursor(keys, 7, user, {"", {"3:3:", 0}, {}, 0}));
  for (auto &[numbers, good] : table) {
    std::string raw = head.substr(0, 13);
    fuzz::put_number(raw, 5);  // when
    for (std::uint64_t number : numbers)
      fuzz::put_number(raw, number);
    auto since = decode_snapshot_cursor(keys, fuzz::forged(keys[0], raw, user), 7, user);
    EXPECT_EQ(since.has_value(), good) << numbers[0] << " " << numbers[1];
  }
}

}  // namespace
}  // namespace await::core
