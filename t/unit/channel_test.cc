#include <gtest/gtest.h>

#include "wire/channel.h"

namespace await::wire {
namespace {

TEST(Channel, jobs_topics_and_users_are_parsed) {
  auto job = parse_channel("job:0198c0de-0000-7000-8000-000000000000");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind(), core::Kind::job);
  auto topic = parse_channel("topic:leaderboard");
  ASSERT_TRUE(topic);
  EXPECT_EQ(topic->kind(), core::Kind::topic);
  EXPECT_EQ(topic->id, topic_id("leaderboard"));
  auto user = parse_channel("user:ann@example.com");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->kind(), core::Kind::user);
  EXPECT_EQ(user->name, "ann@example.com");
  EXPECT_EQ(user->text(), "user:ann@example.com");
  EXPECT_EQ(user->id.text().substr(0, 15), "fffffffe-ffff-8");
  EXPECT_EQ(topic->id.text().substr(0, 15), "ffffffff-ffff-8");
  EXPECT_NE(topic_id("a"), topic_id("b"));
  EXPECT_EQ(topic->id.retention(), 3U) << "kept for ever";
  std::string long_name(128, 'x');
  EXPECT_TRUE(parse_channel("topic:" + long_name));
  for (std::string bad :
       {std::string(), std::string("job:"), std::string("job:x"), "job:" + topic->id.text(),
        std::string("topic:"), std::string("topic:a b"), "topic:x" + long_name, std::string("user:"),
        "user:" + std::string(257, 'x'), std::string("user:\xff"), std::string("leaderboard")})
    EXPECT_FALSE(parse_channel(bad)) << bad;
}

TEST(Channel, patterns_match_with_stars) {
  EXPECT_TRUE(matches("topic:a", "topic:a"));
  EXPECT_FALSE(matches("topic:a", "topic:ab"));
  EXPECT_TRUE(matches("topic:*", "topic:"));
  EXPECT_TRUE(matches("topic:a.*", "topic:a.b.c"));
  EXPECT_FALSE(matches("topic:a.*", "topic:a"));
  EXPECT_TRUE(matches("*a*b*", "xaybz"));
  EXPECT_FALSE(matches("*a*b*", "xbya"));
  EXPECT_TRUE(matches("*aab", "aaaab")) << "it goes back to the star";
  EXPECT_FALSE(matches("", "x"));
}

}  // namespace
}  // namespace await::wire
