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
  for (const char *nothing :
       {"", ",", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "waits=1", "=", "\"", "wait=\"1"})
    EXPECT_FALSE(parse(nothing).wait_s) << nothing;
}

}  // namespace
}  // namespace await::wire
