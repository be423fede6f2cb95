#include <gtest/gtest.h>

#include "core/cursor.h"
#include "core/multi_cursor.h"
#include "core/position.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

TEST(MultiCursor, parts_beyond_the_maximum_length_are_dropped_longest_first) {
  std::string job = encode_cursor(7, id(1), 2);
  std::string busy(500, 'A');
  EXPECT_EQ(join_cursors({job, busy}), job + ".");
  EXPECT_EQ(join_cursors({busy, job}), "." + job);
  EXPECT_EQ(join_cursors({"", ""}), ".");
  EXPECT_EQ(cursor_for(id(1), "." + job), job);
  EXPECT_EQ(cursor_for(id(2), "." + job), ".");
  EXPECT_EQ(cursor_for(id(2), job), job) << "of one channel: whoever reads it says what it is";
  EXPECT_EQ(cursor_for(id(1), "." + job + "." + busy), ".") << "longer than any that was given";
}

TEST(MultiCursor, the_part_of_a_user_channel_keeps_its_signature) {
  Uuid user = named_id(0xfe, 2);
  std::string own = encode_snapshot_cursor(kKeys, 7, user, {"", {"10:10:", 1000}, {}, 0});
  std::string both = join_cursors({encode_cursor(7, id(1), 2), own});
  EXPECT_EQ(cursor_for(user, both), own);
  EXPECT_EQ(cursor_for(named_id(0xfe, 3), both), ".");
  std::string forged = own;
  forged.back() = forged.back() == 'A' ? 'B' : 'A';
  Position position(user, join_cursors({encode_cursor(7, id(1), 2), forged}), "ann", &kKeys);
  position.start(7);
  EXPECT_EQ(position.on_page(merged("20:20:", {}), 7), Continuity::gap);
}

}  // namespace
}  // namespace await::core
