#include "core/timelines.h"

#include <gtest/gtest.h>

#include <string>

namespace await::core {
namespace {

struct Step {
  const char *name;
  bool accepted;
};
struct Story {
  const char *what;
  std::vector<Step> steps;
};

TEST(Timelines, a_node_never_goes_back) {
  const Story stories[] = {
      {"a failover", {{"7.00000001.5", true}, {"7.00000002.5.b", true}, {"7.00000001.5", false}}},
      {"the same again", {{"7.00000001.5", true}, {"7.00000001.5", true}}},
      {"two standbys promoted to the same number",
       {{"7.00000001.5", true},
        {"7.00000002.5.b", true},
        {"7.00000002.5.c", true},
        {"7.00000002.5.b", false}}},
      {"then a third",
       {{"7.00000002.5.b", true},
        {"7.00000002.5.c", true},
        {"7.00000003.5.d", true},
        {"7.00000002.5.c", false},
        {"7.00000003.5.d", true}}},
      {"an old primary that was never seen", {{"7.00000002.5", true}, {"7.00000001.5", false}}},
      {"numbers are hexadecimal", {{"7.0000000A.5", true}, {"7.00000009.5", false}, {"7.0000000B.5", true}}},
      {"another server is no older one",
       {{"7.00000002.5", true}, {"8.00000001.5", true}, {"7.00000002.5", true}}},
      {"nor another database", {{"7.00000002.5", true}, {"7.00000001.6", true}}},
  };
  for (const Story &story : stories) {
    Timelines timelines{};
    for (const Step &step : story.steps)
      EXPECT_EQ(timelines.accept(step.name), step.accepted) << story.what << ": " << step.name;
  }
}

TEST(Timelines, forgets_the_oldest_when_full) {
  Timelines timelines{};
  for (int i = 0; i < 40; ++i)
    EXPECT_TRUE(timelines.accept("7.00000001.5." + std::to_string(i))) << i;
  EXPECT_TRUE(timelines.accept("7.00000001.5.39")) << "the newest is still known";
  EXPECT_FALSE(timelines.accept("7.00000001.5.30")) << "and those before it";
  EXPECT_TRUE(timelines.accept("7.00000001.5.1")) << "one that was forgotten counts as new";
}

TEST(Timelines, a_name_that_is_too_long_is_not_kept) {
  Timelines timelines{};
  EXPECT_TRUE(timelines.accept(std::string(500, 'x'))) << "nothing is known of it";
}

}  // namespace
}  // namespace await::core
