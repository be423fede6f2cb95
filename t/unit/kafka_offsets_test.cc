#include "kafka/offsets.h"

#include <gtest/gtest.h>

namespace await::kafka {
namespace {

using Next = std::vector<std::pair<Partition, std::int64_t>>;

class OffsetsTest : public testing::Test {
 protected:
  const Partition a{"a", 0};
  const Partition b{"a", 1};
  Offsets offsets;
};

TEST_F(OffsetsTest, what_is_behind_an_open_message_is_not_committed) {
  for (int offset : {5, 6, 9})
    offsets.received(a, offset);
  offsets.done(a, 6);
  offsets.done(a, 9);
  EXPECT_EQ(offsets.take(), Next{});
  EXPECT_EQ(offsets.open(), 3U);
  offsets.done(a, 5);
  EXPECT_EQ(offsets.take(), (Next{{a, 10}})) << "behind the last, across offsets that do not exist";
  EXPECT_EQ(offsets.take(), Next{}) << "once";
  EXPECT_EQ(offsets.open(), 0U);
}

TEST_F(OffsetsTest, partitions_do_not_wait_for_each_other) {
  offsets.received(a, 1);
  offsets.received(b, 1);
  offsets.done(b, 1);
  EXPECT_EQ(offsets.take(), (Next{{b, 2}}));
}

TEST_F(OffsetsTest, a_partition_that_was_given_away_is_not_committed) {
  offsets.received(a, 1);
  offsets.forget(a);
  offsets.done(a, 1);
  EXPECT_EQ(offsets.take(), Next{});
}

TEST_F(OffsetsTest, messages_that_come_again_are_counted_once) {
  for (int offset : {1, 2, 3, 2, 3})
    offsets.received(a, offset);
  EXPECT_EQ(offsets.open(), 3U);
  offsets.done(a, 1);
  offsets.done(a, 2);
  EXPECT_EQ(offsets.take(), (Next{{a, 3}}));
}

TEST_F(OffsetsTest, what_was_not_committed_is_taken_again_unless_there_is_more) {
  offsets.received(a, 1);
  offsets.done(a, 1);
  offsets.take();
  offsets.put_back(a, 2);
  EXPECT_EQ(offsets.take(), (Next{{a, 2}}));
  offsets.received(a, 2);
  offsets.done(a, 2);
  offsets.put_back(a, 2);
  EXPECT_EQ(offsets.take(), (Next{{a, 3}}));
}

}  // namespace
}  // namespace await::kafka
