#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/message_headers.h"

namespace await::wire {

/// An event in the form of CloudEvents 1.0. Source: CloudEvents specification 1.0.2, §3; Distributed Tracing
/// and Partitioning extensions.
struct CloudEvent {
  std::string id;
  std::string source;
  std::string type;
  std::string subject;
  std::int64_t at_ms = 0;  ///< Unix milliseconds
  std::optional<std::string> traceparent;
  std::optional<std::string> correlation_id;  ///< the extension correlationid
  std::string partition_key;                  ///< the extension partitionkey
  std::string data;                           ///< JSON
};

inline constexpr std::string_view kCloudEventType = "application/cloudevents+json; charset=UTF-8";

/// One JSON object with the attributes and the data (structured content mode; JSON event format §3).
std::string structured_event(const CloudEvent &event);
/// The attributes as headers, beside the data (binary content mode; Kafka protocol binding §3.2).
MessageHeaders binary_event(const CloudEvent &event);

/// What is in an event in structured content mode.
struct EventContent {
  std::string data;
  std::string content_type;
  std::optional<std::string> traceparent;
  std::optional<std::string> correlation_id;
};
/// Errors: invalid.
Result<EventContent> parse_structured_event(std::string_view json);

}  // namespace await::wire
