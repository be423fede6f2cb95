#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// A job as an element of a batch describes it.
struct BatchJob {
  std::optional<std::string> queue;
  std::optional<std::string> phase;
  std::string payload;  ///< the bytes of "payload" as they were sent, or what "payload_base64" stands for
  std::string content_type;  ///< by default that of the payload's form
  std::optional<std::string> file_name;
  std::optional<std::string> params;  ///< JSON text, an object
  std::optional<int> priority;
  std::optional<int> max_attempts;
  std::optional<std::int64_t> delay_ms;
  std::optional<std::int64_t> deadline_ms;
  std::optional<std::int64_t> lease_ms;
};

/// A set of those members that an element may have only if the operator allows it: "priority", "delay",
/// "deadline", "lease", "max_attempts".
using BatchOptions = unsigned;
/// The set of the one option with this name; 0 if there is none.
BatchOptions batch_option(std::string_view name);

/// What is wrong with an element.
struct BatchJobFault {
  std::size_t at;  ///< in bytes from its start
  std::string why;
  bool too_much = false;  ///< a limit was exceeded (413)
};

/// Reads an element.
/// @param object  a valid JSON object
/// @param allowed  the options that it may have
/// @return  empty if `job` was filled in
std::optional<BatchJobFault> read_batch_job(std::string_view object, BatchOptions allowed, BatchJob &job);

}  // namespace await::wire
