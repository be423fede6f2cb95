#include "wire/job_message.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

using namespace std::string_literals;
using Value = std::optional<std::string>;

Result<JobMessage> parse(const Value &value, const MessageHeaders &headers = {},
                         const Value &key = std::nullopt, JobMessageRules rules = {}) {
  return parse_job_message(key, value, headers, rules);
}

std::string why(const Result<JobMessage> &result) { return result ? "no error" : result.error().detail; }

TEST(JobMessageTest, the_value_is_the_payload_and_headers_are_options) {
  auto job = parse("{\"a\": 1}", {{"content-type", "application/json"},
                                  {"await-priority", "5"},
                                  {"Await-Max-Attempts", "3"},
                                  {"await-params", "{\"size\": 2}"},
                                  {"await-owner", "alice"},
                                  {"something", "else"},
                                  {"empty", std::nullopt}});
  ASSERT_TRUE(job) << why(job);
  EXPECT_EQ(job->payload, "{\"a\": 1}");
  EXPECT_EQ(job->content_type, "application/json");
  EXPECT_EQ(job->options, R"({"priority":"5","owner":"alice","params":{"size":2},"max_attempts":"3"})");
}

TEST(JobMessageTest, the_content_type_is_that_of_the_rules_by_default) {
  auto job = parse("x", {}, std::nullopt, {"text/plain", 10});
  ASSERT_TRUE(job) << why(job);
  EXPECT_EQ(job->content_type, "text/plain");
  EXPECT_EQ(job->options, "{}");
}

TEST(JobMessageTest, the_correlation_id_is_a_header_or_the_key) {
  EXPECT_EQ(parse("x", {}, "order-17")->options, R"({"correlation_id":"order-17"})");
  EXPECT_EQ(parse("x", {{"correlation_id", "a"}}, "order-17")->options, R"({"correlation_id":"a"})");
  EXPECT_EQ(parse("x", {{"correlation-id", "a"}, {"await-correlation-id", "b"}})->options,
            R"({"correlation_id":"b"})");
  for (const std::string &key : {std::string(), std::string("a\x01"), std::string("\xff"),
                                 std::string(256, 'a'), std::string("\0\0\0\7", 4)})
    EXPECT_EQ(parse("x", {}, key)->options, "{}") << "a key of other kinds is not used";
}

TEST(JobMessageTest, a_trace_is_taken_if_it_is_one) {
  std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(parse("x", {{"traceparent", trace}})->options, "{\"trace\":\"" + trace + "\"}");
  EXPECT_EQ(parse("x", {{"traceparent", "00-x"}})->options, "{}");
}

TEST(JobMessageTest, headers_of_odd_sizes_and_encodings_have_an_outcome) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string type = "its content type is not in the form type/subtype";
  const std::string large(1 << 20, 'x');
  struct {
    MessageHeaders headers;
    std::string content_type, options;
    std::string refused;
  } const cases[] = {
      {{{"content-type", ""}}, "a/default", "{}", ""},
      {{{"content-type", " \t"}}, "a/default", "{}", ""},
      {{{"content-type", std::nullopt}}, "a/default", "{}", ""},
      {{{"content-type", "text/plain"}, {"content-type", ""}}, "text/plain", "{}", ""},
      {{{"Content_Type", "text/plain"}}, "text/plain", "{}", ""},
      {{{"content-type", "/"}}, "", "", type},
      {{{"content-type", "text/plain\0"s}}, "", "", type},
      {{{"content-type", "text/\xff"}}, "", "", type},
      {{{"content-type", "text/" + large}}, "", "", type},
      {{{"traceparent", ""}}, "a/default", "{}", ""},
      {{{"traceparent", std::nullopt}}, "a/default", "{}", ""},
      {{{"traceparent", "\xff\xfe"}}, "a/default", "{}", ""},
      {{{"traceparent", trace + "\0"s}}, "a/default", "{}", ""},
      {{{"traceparent", large}}, "a/default", "{}", ""},
      {{{"traceparent", trace}, {"traceparent", "00-x"}}, "a/default", "{\"trace\":\"" + trace + "\"}", ""},
      {{{"await-trace", "as await.submit() takes it"}},
       "a/default",
       R"({"trace":"as await.submit() takes it"})",
       ""},
      {{{"await-trace", "\xff"}}, "", "", "the header await-trace is not text"},
      {{{"correlation-id", ""}}, "a/default", "{}", ""},
      {{{"correlation-id", "a\0b"s}}, "a/default", "{}", ""},
      {{{"correlation-id", large}}, "a/default", "{}", ""},
      {{{"", ""}, {"\xff", "\xff"}, {large, large}}, "a/default", "{}", ""},
      {{{"await-", "x"}}, "", "", "there is no header await-"},
      {{{"await-" + large, "x"}}, "", "", "there is no header await-" + std::string(80, 'x')},
      {{{"await-\xff", "x"}}, "", "", "there is no header await-"},
      {{{"await-owner", "a\0b"s}}, "", "", "the header await-owner is not text"},
      {MessageHeaders(1000, {"x", "y"}), "a/default", "{}", ""},
      {MessageHeaders(1001, {"x", "y"}), "", "", "it has more than 1000 headers"},
  };
  for (const auto &one : cases) {
    std::string name =
        one.headers[0].first.substr(0, 20) + ": " + one.headers[0].second.value_or("-").substr(0, 20);
    auto job = parse("x", one.headers, std::nullopt, {"a/default", 10});
    EXPECT_EQ(static_cast<bool>(job), one.refused.empty()) << name << ": " << why(job);
    if (job) {
      EXPECT_EQ(job->content_type, one.content_type) << name;
      EXPECT_EQ(job->options, one.options) << name;
    } else {
      EXPECT_EQ(why(job).substr(0, one.refused.size()), one.refused) << name;
    }
  }
}

TEST(JobMessageTest, the_last_of_several_headers_counts) {
  EXPECT_EQ(parse("x", {{"await-priority", "1"}, {"await-priority", "2"}})->options, R"({"priority":"2"})");
}

TEST(JobMessageTest, cloud_events_are_understood_in_both_modes) {
  auto structured = parse(R"({"specversion":"1.0","id":"1","source":"/x","type":"t","correlationid":"c",
      "datacontenttype":"text/plain","data":"hello"})",
                          {{"content-type", "application/cloudevents+json; charset=UTF-8"}}, "key");
  ASSERT_TRUE(structured) << why(structured);
  EXPECT_EQ(structured->payload, "hello");
  EXPECT_EQ(structured->content_type, "text/plain");
  EXPECT_EQ(structured->options, R"({"correlation_id":"c"})");
  auto binary =
      parse("[1]", {{"content-type", "application/json"}, {"ce_id", "1"}, {"ce_correlationid", "c"}});
  ASSERT_TRUE(binary) << why(binary);
  EXPECT_EQ(binary->options, R"({"correlation_id":"c"})");
}

TEST(JobMessageTest, what_is_no_valid_job_is_refused_with_the_reason) {
  EXPECT_EQ(why(parse(std::nullopt)), "it has no value");
  EXPECT_EQ(why(parse("12345678901", {}, std::nullopt, {"text/plain", 10})),
            "its value has 11 bytes, more than 10");
  EXPECT_EQ(why(parse("x", {{"content-type", "text"}})), "its content type is not in the form type/subtype");
  EXPECT_EQ(why(parse("x", {{"content-type", "a/b\r\nc: d"}})),
            "its content type is not in the form type/subtype");
  EXPECT_EQ(why(parse("{\"a\":", {{"content-type", "application/json"}})).substr(0, 22),
            "its value is not JSON:");
  EXPECT_EQ(why(parse("x", {{"await-prio", "1"}})), "there is no header await-prio");
  EXPECT_EQ(why(parse("x", {{"await-\x01", "1"}})), "there is no header await- ");
  EXPECT_EQ(why(parse("x", {{"await-owner", std::nullopt}})), "the header await-owner is not text");
  EXPECT_EQ(why(parse("x", {{"await-owner", "\xff"}})), "the header await-owner is not text");
  EXPECT_EQ(why(parse("x", {{"await-params", "{"}})).substr(0, 35), "the header await-params is not JSON");
  EXPECT_FALSE(parse("x", {{"await-params", "1e999999"}})) << "PostgreSQL would write it out";
  EXPECT_FALSE(parse("[]", {{"content-type", "application/cloudevents-batch+json"}}));
  EXPECT_FALSE(parse("[]", {{"content-type", "application/cloudevents+json"}}));
  EXPECT_FALSE(parse("x", MessageHeaders(1001, {"a", "b"})));
}

TEST(JobMessageTest, the_key_of_a_message_is_its_place_and_time_and_never_too_long) {
  EXPECT_EQ(message_key("orders", 3, 17, 1795000000000), "kafka:orders:3:17:1795000000000");
  std::string longest = message_key(std::string(249, 'a'), 2147483647, INT64_MAX, INT64_MAX);
  EXPECT_LE(longest.size(), 255U);
  EXPECT_NE(message_key(std::string(248, 'a') + "b", 1, 1, 1),
            message_key(std::string(248, 'a') + "c", 1, 1, 1));
}

}  // namespace
}  // namespace await::wire
