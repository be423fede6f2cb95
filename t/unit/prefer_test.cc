#include <gtest/gtest.h>

#include "wire/prefer.h"

namespace await::wire {
namespace {

TEST(Prefer, is_parsed_as_rfc_7240_says) {
  auto parse = [](std::string_view field) {
    Prefer prefer;
    parse_prefer(field, prefer);
    return prefer;
  };
  EXPECT_EQ(parse("wait=10").wait_s, 10);
  EXPECT_EQ(parse("respond-async, wait=\"5\"; x=y").wait_s, 5);
  EXPECT_TRUE(parse("Respond-Async, wait=5").respond_async);
  EXPECT_EQ(parse("wait = 3").wait_s, 3);
  EXPECT_EQ(parse("foo=\"a, wait=9\", wait=1").wait_s, 1);
  EXPECT_EQ(parse("wait=1, wait=2").wait_s, 1);
  for (const char *nothing : {"", ",", "wait", "wait=", "wait=x", "wait=abc", "wait=\"x\"", "wait=+1",
                              "wait=-1", "wait=1.5", "waits=1", "=", "\"", "wait=\"1"})
    EXPECT_FALSE(parse(nothing).wait_s) << nothing;
  for (const char *bare :
       {"wait", "Wait", "wait=", "wait=\"\"", "wait; x=1", "respond-async, wait", "wait, wait=9"}) {
    EXPECT_TRUE(parse(bare).wait) << bare;
    EXPECT_FALSE(parse(bare).wait_s) << bare;
  }
  for (const char *other : {"", "waits", "wait=5", "wait=x", "wait=5, wait", "x=wait", "\"wait\""})
    EXPECT_FALSE(parse(other).wait) << other;
}

TEST(Prefer, more_seconds_than_can_be_counted_are_very_many) {
  Prefer prefer;
  parse_prefer("wait=99999999999999999999999999", prefer);
  EXPECT_EQ(prefer.wait_s, 1'000'000'000);
}

}  // namespace
}  // namespace await::wire
