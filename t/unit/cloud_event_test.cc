#include "wire/cloud_event.h"

#include <gtest/gtest.h>

#include "wire/json_check.h"
#include "wire/raw_json.h"

namespace await::wire {
namespace {

CloudEvent one() {
  CloudEvent event;
  event.id = "01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77:3";
  event.source = "/await/judge";
  event.type = "completed";
  event.subject = "01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77";
  event.at_ms = 1795000000090;
  event.correlation_id = "order \"17\"";
  event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  event.partition_key = event.subject;
  event.data = "{\"state\": \"completed\"}";
  return event;
}

TEST(CloudEventTest, structured_mode_is_one_json_object_with_the_required_attributes) {
  std::string json = structured_event(one());
  ASSERT_TRUE(is_json(json)) << json;
  EXPECT_EQ(raw_find(json, "specversion"), "\"1.0\"");
  EXPECT_EQ(raw_find(json, "id"), "\"01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77:3\"");
  EXPECT_EQ(raw_find(json, "source"), "\"/await/judge\"");
  EXPECT_EQ(raw_find(json, "type"), "\"completed\"");
  EXPECT_EQ(raw_find(json, "time"), "\"2026-11-18T11:06:40.090Z\"");
  EXPECT_EQ(raw_find(json, "datacontenttype"), "\"application/json\"");
  EXPECT_EQ(raw_find(json, "correlationid"), "\"order \\\"17\\\"\"");
  EXPECT_EQ(raw_find(json, "data"), "{\"state\":\"completed\"}");
}

TEST(CloudEventTest, binary_mode_has_the_attributes_as_headers) {
  auto headers = binary_event(one());
  auto value = [&](std::string_view name) {
    for (auto &[key, text] : headers) {
      if (key == name)
        return text.value_or("null");
    }
    return std::string("absent");
  };
  EXPECT_EQ(value("content-type"), "application/json");
  EXPECT_EQ(value("ce_specversion"), "1.0");
  EXPECT_EQ(value("ce_id"), one().id);
  EXPECT_EQ(value("ce_time"), "2026-11-18T11:06:40.090Z");
  EXPECT_EQ(value("ce_traceparent"), *one().traceparent);
  EXPECT_EQ(value("ce_correlationid"), "order \"17\"");
}

TEST(CloudEventTest, what_was_written_can_be_read) {
  auto content = parse_structured_event(structured_event(one()));
  ASSERT_TRUE(content) << content.error().detail;
  EXPECT_EQ(content->data, "{\"state\":\"completed\"}");
  EXPECT_EQ(content->content_type, "application/json");
  EXPECT_EQ(content->traceparent, one().traceparent);
  EXPECT_EQ(content->correlation_id, one().correlation_id);
}

std::string with(std::string_view members) {
  return R"({"specversion":"1.0","id":"1","source":"/x","type":"t",)" + std::string(members) + "}";
}

TEST(CloudEventTest, data_that_is_not_json_is_a_string_or_base64) {
  auto text = parse_structured_event(with(R"("datacontenttype":"text/plain","data":"a\n\u00e4")"));
  ASSERT_TRUE(text) << text.error().detail;
  EXPECT_EQ(text->data, "a\nä");
  EXPECT_EQ(text->content_type, "text/plain");
  auto bytes = parse_structured_event(with(R"("datacontenttype":"image/png","data_base64":"iVBO+/8=")"));
  ASSERT_TRUE(bytes) << bytes.error().detail;
  EXPECT_EQ(bytes->data, "\x89PN\xfb\xff");
  auto none = parse_structured_event(with(R"("subject":"x")"));
  ASSERT_TRUE(none) << none.error().detail;
  EXPECT_EQ(none->data, "");
}

TEST(CloudEventTest, what_is_no_cloud_event_is_refused) {
  for (const std::string &bad :
       {std::string(""), std::string("[]"), std::string("7"), std::string("{}"), std::string("{"),
        std::string(R"({"specversion":"0.3","id":"1","source":"/x","type":"t"})"),
        std::string(R"({"specversion":"1.0","id":"","source":"/x","type":"t"})"),
        std::string(R"({"specversion":"1.0","id":1,"source":"/x","type":"t"})"),
        with(R"("datacontenttype":"text/plain","data":{"a":1})"), with(R"("data_base64":"a")"),
        with(R"("data_base64":"----")"), with(R"("data_base64":7)"),
        with(R"("data":1,"data_base64":"AAAA")")})
    EXPECT_FALSE(parse_structured_event(bad)) << bad;
}

}  // namespace
}  // namespace await::wire
