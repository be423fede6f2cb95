#include "wire/job_message.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/siphash.h"
#include "base/text.h"
#include "wire/cloud_event.h"
#include "wire/document.h"
#include "wire/headers.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

constexpr std::string_view kPrefix = "await-";
constexpr std::size_t kMaxCorrelationId = 255;
constexpr std::size_t kMaxHeaders = 1000;

struct Option {
  std::string_view header;  ///< without the prefix
  std::string_view name;
};
constexpr std::array<Option, 13> kOptions = {{{"priority", "priority"},
                                              {"owner", "owner"},
                                              {"correlation-id", "correlation_id"},
                                              {"trace", "trace"},
                                              {"file-name", "file_name"},
                                              {"params", "params"},
                                              {"lease", "lease"},
                                              {"max-attempts", "max_attempts"},
                                              {"delay", "delay"},
                                              {"deadline", "deadline"},
                                              {"retain", "retain"},
                                              {"batch", "batch"},
                                              {"phase", "phase"}}};

Error invalid(std::string why) { return {Code::invalid, std::move(why)}; }

bool is_correlation_id(const std::string &text) {
  return !text.empty() && text.size() <= kMaxCorrelationId && is_text(text) && printable(text) == text;
}

/// What the headers say, before it is put together.
struct Read {
  std::array<std::optional<std::string>, kOptions.size()> options;
  std::optional<std::string> content_type;
  std::optional<std::string> correlation_id;
  std::optional<std::string> traceparent;

  std::optional<std::string> &option(std::string_view name) {
    auto at = std::find_if(kOptions.begin(), kOptions.end(), [&](auto &one) { return one.name == name; });
    return options[static_cast<std::size_t>(at - kOptions.begin())];
  }
};

Result<Done> read_option(std::string_view name, const std::optional<std::string> &value, Read &to) {
  auto at = std::find_if(kOptions.begin(), kOptions.end(), [&](auto &one) { return one.header == name; });
  std::string shown = std::string(kPrefix) + printable(name.substr(0, 80));
  if (at == kOptions.end())
    return invalid("there is no header " + shown);
  if (!value || !is_text(*value))
    return invalid("the header " + shown + " is not text");
  to.options[static_cast<std::size_t>(at - kOptions.begin())] = *value;
  return Done{};
}

/// Headers of others are used if they can be. A content type that is none is not passed over: the payload
/// would be taken for something else.
void read_foreign(std::string_view name, const std::optional<std::string> &value, Read &to) {
  if (!value)
    return;
  if (name == "content-type" || name == "contenttype" || name == "content_type") {
    if (!trim(*value).empty())
      to.content_type = *value;
  } else if ((name == "correlation-id" || name == "correlation_id" || name == "ce_correlationid") &&
             is_correlation_id(*value))
    to.correlation_id = *value;
  else if ((name == "traceparent" || name == "ce_traceparent") && is_traceparent(*value))
    to.traceparent = *value;
}

Result<Read> read_headers(const MessageHeaders &headers) {
  if (headers.size() > kMaxHeaders)
    return invalid("it has more than " + std::to_string(kMaxHeaders) + " headers");
  Read out;
  for (const auto &[given, value] : headers) {
    std::string name = lower(given);
    if (!name.starts_with(kPrefix)) {
      read_foreign(name, value, out);
    } else if (auto done = read_option(std::string_view(name).substr(kPrefix.size()), value, out); !done) {
      return done.error();
    }
  }
  return out;
}

/// Replaces a CloudEvent in structured content mode by what is in it.
Result<Done> open_event(Read &read, std::string &payload) {
  std::string type = essence(*read.content_type);
  if (type == "application/cloudevents-batch+json")
    return invalid("a batch of CloudEvents is not one job");
  if (type != "application/cloudevents+json")
    return Done{};
  auto content = parse_structured_event(payload);
  if (!content)
    return content.error();
  payload = std::move(content->data);
  read.content_type = std::move(content->content_type);
  if (!read.correlation_id && content->correlation_id && is_correlation_id(*content->correlation_id))
    read.correlation_id = content->correlation_id;
  if (!read.traceparent && content->traceparent && is_traceparent(*content->traceparent))
    read.traceparent = content->traceparent;
  return Done{};
}

Result<std::string> write_options(Read &read) {
  JsonWriter out;
  for (std::size_t i = 0; i < kOptions.size(); ++i) {
    const auto &value = read.options[i];
    if (!value)
      continue;
    if (kOptions[i].name != "params") {
      out.text(kOptions[i].name, *value);
      continue;
    }
    JsonCheck check(JsonCheck::Numbers::bounded);
    if (!check.feed(*value) || !check.finish())
      return invalid(std::string("the header await-params is not JSON: ") + check.error());
    out.raw("params", *value);
  }
  return out.take();
}

}  // namespace

Result<JobMessage> parse_job_message(const std::optional<std::string> &key,
                                     const std::optional<std::string> &value, const MessageHeaders &headers,
                                     const JobMessageRules &rules) {
  if (!value)
    return invalid("it has no value");
  if (value->size() > rules.max_size)
    return Error{Code::too_large, "its value has " + std::to_string(value->size()) + " bytes, more than " +
                                      std::to_string(rules.max_size)};
  auto read = read_headers(headers);
  if (!read)
    return read.error();
  JobMessage out;
  out.payload = *value;
  if (!read->content_type)
    read->content_type = rules.content_type;
  if (!is_media_type(*read->content_type))
    return invalid("its content type is not in the form type/subtype");
  if (auto opened = open_event(*read, out.payload); !opened)
    return opened.error();
  out.content_type = *read->content_type;
  if (!is_media_type(out.content_type))
    return invalid("the datacontenttype of the CloudEvent is not in the form type/subtype");
  if (is_json_type(out.content_type)) {
    JsonCheck check;
    if (!check.feed(out.payload) || !check.finish())
      return invalid("its value is not JSON: " + std::string(check.error()) + ", at byte " +
                     std::to_string(check.offset()));
  }
  if (!read->correlation_id && key && is_correlation_id(*key))
    read->correlation_id = *key;
  if (auto &to = read->option("correlation_id"); !to)
    to = read->correlation_id;
  if (auto &to = read->option("trace"); !to)
    to = read->traceparent;
  auto options = write_options(*read);
  if (!options)
    return options.error();
  out.options = std::move(*options);
  return out;
}

std::string message_key(std::string_view topic, int partition, std::int64_t offset, std::int64_t at_ms) {
  constexpr std::size_t kLongTopic = 160;  // what remains is enough for the numbers
  std::string name(topic);
  if (name.size() > kLongTopic)
    name = name.substr(0, kLongTopic) + "~" + std::to_string(siphash({1, 2}, name));
  return "kafka:" + name + ":" + std::to_string(partition) + ":" + std::to_string(offset) + ":" +
         std::to_string(at_ms);
}

}  // namespace await::wire
