#include "wire/cloud_event.h"

#include <jansson.h>

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "wire/document.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"
#include "wire/raw_json.h"

namespace await::wire {
namespace {

/// The text of a JSON string; empty if `raw` is another value.
std::optional<std::string> text_of(std::string_view raw) {
  if (!raw.starts_with('"'))
    return std::nullopt;
  std::unique_ptr<json_t, decltype(&json_decref)> value(
      json_loadb(raw.data(), raw.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr), &json_decref);
  if (!json_is_string(value.get()))
    return std::nullopt;
  return std::string(json_string_value(value.get()), json_string_length(value.get()));
}

/// The same of a member of an object.
std::optional<std::string> text_in(std::string_view json, std::string_view name) {
  return text_of(raw_find(json, name).value_or(""));
}

/// Decodes base64 (RFC 4648 §4).
std::optional<std::string> from_base64(std::string text) {
  if (text.size() % 4 != 0 || text.find_first_of("-_") != std::string::npos)
    return std::nullopt;
  while (text.ends_with('=') && text.size() % 4 != 2)
    text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return from_base64url(text);
}

/// The data of an event, as it was before it was put into JSON (JSON event format §3.1).
Result<std::string> data_of(std::string_view json, std::string_view content_type) {
  auto data = raw_find(json, "data");
  if (auto encoded = raw_find(json, "data_base64")) {
    auto text = text_of(*encoded);
    auto bytes = text && !data ? from_base64(std::move(*text)) : std::nullopt;
    if (!bytes)
      return Error{Code::invalid, data ? "a CloudEvent has either data or data_base64"
                                       : "data_base64 of the CloudEvent is not base64"};
    return std::move(*bytes);
  }
  if (!data)
    return std::string();
  if (is_json_type(content_type))
    return std::string(*data);
  auto text = text_of(*data);
  if (!text)
    return Error{Code::invalid,
                 "data of the CloudEvent is not a string, and its datacontenttype is not JSON"};
  return std::move(*text);
}

}  // namespace

std::string structured_event(const CloudEvent &event) {
  JsonWriter out;
  out.text("specversion", "1.0");
  out.text("id", event.id);
  out.text("source", event.source);
  out.text("type", event.type);
  out.text("subject", event.subject);
  out.text("time", format_time(event.at_ms));
  out.text("datacontenttype", "application/json");
  out.text("partitionkey", event.partition_key);
  if (event.correlation_id)
    out.text("correlationid", *event.correlation_id);
  if (event.traceparent)
    out.text("traceparent", *event.traceparent);
  out.raw("data", event.data);
  return out.take();
}

MessageHeaders binary_event(const CloudEvent &event) {
  MessageHeaders out = {{"content-type", "application/json"},
                        {"ce_specversion", "1.0"},
                        {"ce_id", event.id},
                        {"ce_source", event.source},
                        {"ce_type", event.type},
                        {"ce_subject", event.subject},
                        {"ce_time", format_time(event.at_ms)},
                        {"ce_partitionkey", event.partition_key}};
  if (event.correlation_id)
    out.emplace_back("ce_correlationid", event.correlation_id);
  if (event.traceparent)
    out.emplace_back("ce_traceparent", event.traceparent);
  return out;
}

Result<EventContent> parse_structured_event(std::string_view json) {
  if (!is_json(json) || json[json.find_first_not_of(" \t\r\n")] != '{')
    return Error{Code::invalid, "the CloudEvent is not a JSON object"};
  if (text_in(json, "specversion") != "1.0")
    return Error{Code::invalid, "the CloudEvent has not the specversion 1.0"};
  for (const char *name : {"id", "source", "type"}) {
    if (text_in(json, name).value_or("").empty())
      return Error{Code::invalid, std::string("the CloudEvent has no ") + name};
  }
  EventContent out;
  out.content_type = text_in(json, "datacontenttype").value_or("application/json");
  auto data = data_of(json, out.content_type);
  if (!data)
    return data.error();
  out.data = std::move(*data);
  out.traceparent = text_in(json, "traceparent");
  out.correlation_id = text_in(json, "correlationid");
  return out;
}

}  // namespace await::wire
