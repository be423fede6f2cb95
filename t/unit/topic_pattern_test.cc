#include "wire/topic_pattern.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

std::string name(std::string_view pattern, std::string_view type, std::string_view queue) {
  auto parsed = TopicPattern::parse(pattern);
  return parsed ? parsed->name(type, queue) : parsed.error().detail;
}

TEST(TopicPatternTest, words_in_braces_are_those_of_the_event) {
  EXPECT_EQ(name("judge.{type}", "completed", "judge"), "judge.completed");
  EXPECT_EQ(name("{queue}-{type}.v1", "batch.ready", "judge"), "judge-batch.ready.v1");
  EXPECT_EQ(name("results", "completed", "judge"), "results");
}

TEST(TopicPatternTest, batches_and_topics_have_a_queue_of_their_own) {
  EXPECT_EQ(name("x.{queue}", "batch.ready", ".batch"), "x.batch");
  EXPECT_EQ(name("x.{queue}", "score", ""), "x.topic");
}

TEST(TopicPatternTest, a_name_that_kafka_refuses_is_not_made) {
  EXPECT_EQ(name("{queue}", "completed", "."), "._");
  EXPECT_EQ(name("{queue}", "completed", ".."), ".._");
}

TEST(TopicPatternTest, a_pattern_that_could_lead_to_a_bad_name_is_refused) {
  for (std::string_view bad :
       {"", ".", "..", "a b", "a/{type}", "{typ}", "{type", "a{}", "a}", "ä", "{TYPE}"})
    EXPECT_FALSE(TopicPattern::parse(bad)) << bad;
  EXPECT_TRUE(TopicPattern::parse(std::string(249, 'a')));
  EXPECT_FALSE(TopicPattern::parse(std::string(250, 'a')));
  EXPECT_TRUE(TopicPattern::parse(std::string(185, 'a') + "{type}"));
  EXPECT_FALSE(TopicPattern::parse(std::string(186, 'a') + "{type}")) << "a type has up to 64 characters";
}

TEST(TopicPatternTest, a_fixed_pattern_is_known) {
  EXPECT_TRUE(TopicPattern::parse("results")->is_fixed());
  EXPECT_FALSE(TopicPattern::parse("results.{type}")->is_fixed());
}

}  // namespace
}  // namespace await::wire
