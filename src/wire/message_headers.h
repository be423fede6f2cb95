#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace await::wire {

/// The headers of a message of Kafka. A value is bytes, or null; a name can occur several times.
using MessageHeaders = std::vector<std::pair<std::string, std::optional<std::string>>>;

}  // namespace await::wire
