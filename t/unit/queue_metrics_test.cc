#include "wire/queue_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace await::wire {
namespace {

core::QueueStats queue(std::string_view name) {
  core::QueueStats out{};
  out.name_size = name.size();
  std::copy(name.begin(), name.end(), out.name_bytes.begin());
  return out;
}

bool has(const std::string &text, const std::string &line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(QueueMetrics, labels_are_escaped) {
  EXPECT_EQ(label_value("plain"), "\"plain\"");
  EXPECT_EQ(label_value("a\"b\\c\nd"), R"("a\"b\\c\nd")");
}

TEST(QueueMetrics, nothing_is_said_before_anything_is_known) { EXPECT_EQ(queue_metrics({}, 0), ""); }

TEST(QueueMetrics, buckets_are_cumulative) {
  std::vector<core::QueueStats> all{queue("q")};
  all[0].run.counts = {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4};
  all[0].run.sum_ms = 12'345;
  std::string text = queue_metrics(all, 0);
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_bucket{queue="q",le="0.01"} 1)"));
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_bucket{queue="q",le="0.1"} 3)"));
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_bucket{queue="q",le="3600"} 3)"));
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_bucket{queue="q",le="+Inf"} 7)"));
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_count{queue="q"} 7)"));
  EXPECT_TRUE(has(text, R"(await_queue_run_seconds_sum{queue="q"} 12.345)"));
}

TEST(QueueMetrics, the_other_queues_have_no_counters) {
  std::vector<core::QueueStats> all{queue("q"), queue("")};
  all[0].paused = 1;
  all[1].ready = 5;
  std::string text = queue_metrics(all, 1'500);
  EXPECT_TRUE(has(text, "await_queue_ready{queue=\"(other)\"} 5"));
  EXPECT_TRUE(has(text, R"(await_queue_paused{queue="q"} 1)"));
  EXPECT_TRUE(has(text, R"(await_queue_ended_total{queue="q",state="failed"} 0)"));
  EXPECT_EQ(text.find("ended_total{queue=\"(other)"), std::string::npos);
  EXPECT_EQ(text.find("bucket{queue=\"(other)"), std::string::npos);
  EXPECT_TRUE(has(text, "await_queue_stats_age_seconds 1.500"));
}

}  // namespace
}  // namespace await::wire
