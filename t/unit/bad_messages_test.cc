#include "relay/bad_messages.h"

#include <gtest/gtest.h>

#include "loop_fake.h"

namespace await::relay {
namespace {

struct BadMessagesTest : testing::Test {
  void add(int count) {
    for (int i = 0; i < count; ++i)
      bad.add("message t[0]@" + std::to_string(i) + " is no valid job");
  }
  std::size_t lines() const { return log.lines.size(); }
  io::FakeLoop loop;
  io::FakeLog log;
  BadMessages bad{loop, log, "Kafka source t"};
};

TEST_F(BadMessagesTest, few_are_logged_each_and_the_minute_ends_without_a_word) {
  add(20);
  EXPECT_EQ(lines(), 20U);
  EXPECT_EQ(log.lines[19], "Kafka source t: message t[0]@19 is no valid job");
  loop.pass(60'000);
  EXPECT_EQ(lines(), 20U);
}

// was a bug: it was said with the first bad message of a later minute only, so perhaps never
TEST_F(BadMessagesTest, of_many_the_rest_is_counted_when_the_minute_ends_and_not_before) {
  add(15);
  loop.pass(30'000);
  add(10'015);
  EXPECT_EQ(lines(), 20U);
  loop.pass(29'999);
  EXPECT_EQ(lines(), 20U);
  loop.pass(1);
  ASSERT_EQ(lines(), 21U);
  EXPECT_EQ(log.lines[20], "Kafka source t: 10010 more messages were no valid jobs in the minute before");
  loop.pass(600'000);
  EXPECT_EQ(lines(), 21U) << "a minute without any is none to speak of";
}

TEST_F(BadMessagesTest, the_next_minute_begins_with_its_first_bad_message) {
  add(25);
  loop.pass(100'000);
  EXPECT_EQ(lines(), 21U);
  add(22);
  EXPECT_EQ(lines(), 41U);
  loop.pass(59'999);
  EXPECT_EQ(lines(), 41U);
  loop.pass(1);
  EXPECT_EQ(lines(), 42U);
}

TEST_F(BadMessagesTest, a_minute_that_is_cut_short_is_counted_once) {
  add(23);
  bad.end_minute();
  ASSERT_EQ(lines(), 21U);
  EXPECT_EQ(log.lines[20], "Kafka source t: 3 more messages were no valid jobs in the minute before");
  loop.pass(60'000);
  EXPECT_EQ(lines(), 21U);
  bad.end_minute();
  EXPECT_EQ(lines(), 21U);
}

}  // namespace
}  // namespace await::relay
