#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/message_headers.h"

namespace await::wire {

/// A message of Kafka as the arguments of await.submit().
struct JobMessage {
  std::string payload;
  std::string content_type;
  std::string options;  ///< JSON object
};

struct JobMessageRules {
  std::string content_type = "application/octet-stream";  ///< of messages that do not say theirs
  std::size_t max_size = 1 << 20;                         ///< of the value, in bytes
};

/// Reads a job from the headers and the value of a message:
///   content-type             of the payload; JSON is checked. CloudEvents 1.0 in structured and in binary
///                            content mode are understood
///   await-<option>           an option of await.submit(), with hyphens for underscores: await-priority
///   correlation-id           or correlation_id, or ce_correlationid; otherwise the key is used, if it is
///   text traceparent              or ce_traceparent
/// Names are compared without regard to case, and the last of several headers counts. Linear in the size of
/// the message. Errors: invalid, too_large; `detail` is for whoever sent it.
/// @param value  empty: the message is a tombstone
Result<JobMessage> parse_job_message(const std::optional<std::string> &key,
                                     const std::optional<std::string> &value, const MessageHeaders &headers,
                                     const JobMessageRules &rules);

/// The key by which a message is submitted once: of its topic, its place there, and its time, because a topic
/// that was created anew counts from 0 again. At most 255 characters.
/// @param at_ms  Unix milliseconds, or -1
std::string message_key(std::string_view topic, int partition, std::int64_t offset, std::int64_t at_ms);

}  // namespace await::wire
