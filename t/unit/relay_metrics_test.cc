#include "wire/relay_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace await::wire {
namespace {

core::RelayStats sink(std::string_view relay, std::string_view name) {
  core::RelayStats out{};
  out.relay_size = relay.size();
  std::copy(relay.begin(), relay.end(), out.relay_bytes.begin());
  out.sink_size = name.size();
  std::copy(name.begin(), name.end(), out.sink_bytes.begin());
  return out;
}

bool has(const std::string &text, const std::string &line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(RelayMetrics, nothing_is_said_where_there_is_no_relay) { EXPECT_EQ(relay_metrics({}), ""); }

TEST(RelayMetrics, each_sink_has_a_line_of_each_family) {
  std::vector<core::RelayStats> all{sink("main", "kafka"), sink("main", "redis")};
  all[0].led = 1;
  all[0].behind = 7;
  all[0].lag_ms = 61'005;
  all[1].delivered = 3;
  all[1].failures = 2;
  std::string text = relay_metrics(all);
  EXPECT_TRUE(has(text, R"(await_relay_led{relay="main",sink="kafka"} 1)"));
  EXPECT_TRUE(has(text, R"(await_relay_led{relay="main",sink="redis"} 0)"));
  EXPECT_TRUE(has(text, R"(await_relay_lag_events{relay="main",sink="kafka"} 7)"));
  EXPECT_TRUE(has(text, R"(await_relay_lag_seconds{relay="main",sink="kafka"} 61.005)"));
  EXPECT_TRUE(has(text, R"(await_relay_delivered_total{relay="main",sink="redis"} 3)"));
  EXPECT_TRUE(has(text, R"(await_relay_failures_total{relay="main",sink="redis"} 2)"));
}

TEST(RelayMetrics, a_cursor_that_cannot_be_read_has_no_lag) {
  std::vector<core::RelayStats> all{sink("main", "kafka")};
  all[0].behind = -1;
  EXPECT_EQ(relay_metrics(all).find("await_relay_lag_events{"), std::string::npos);
  EXPECT_EQ(relay_metrics(all).find("await_relay_lag_seconds{"), std::string::npos);
}

TEST(WebhookMetrics, nothing_is_said_where_there_are_no_webhooks) { EXPECT_EQ(webhook_metrics({}), ""); }

TEST(WebhookMetrics, outcomes_failures_and_what_waits_have_a_line_each) {
  std::string text = webhook_metrics({.delivered = 5, .failed = 4, .dead = 3, .waiting = 2, .retrying = 1});
  EXPECT_TRUE(has(text, R"(await_webhook_deliveries_total{outcome="delivered"} 5)"));
  EXPECT_TRUE(has(text, R"(await_webhook_deliveries_total{outcome="dead"} 3)"));
  EXPECT_TRUE(has(text, "await_webhook_failures_total 4"));
  EXPECT_TRUE(has(text, R"(await_webhook_deliveries{state="waiting"} 2)"));
  EXPECT_TRUE(has(text, R"(await_webhook_deliveries{state="retrying"} 1)"));
}

}  // namespace
}  // namespace await::wire
