#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace await::kafka {

/// The value of a header can be null.
using Headers = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// A message to be sent. The partition is found by the key, as Java's clients find it.
struct Message {
  std::string topic;
  std::optional<std::string> key;
  std::optional<std::string> value;
  Headers headers;
};

/// A message that was received.
struct Received {
  std::string topic;
  int partition = 0;
  std::int64_t offset = 0;
  std::int64_t at_ms = -1;  ///< Unix milliseconds; -1 if the message has no time
  std::optional<std::string> key;
  std::optional<std::string> value;  ///< null: a tombstone
  Headers headers;
};

}  // namespace await::kafka
