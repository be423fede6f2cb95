#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace await::core {

/// What the console reads.
enum class ConsoleRead : std::uint8_t { overview, queues, jobs, job, failures };

/// What a function of the console returns: JSON text. Empty: what was asked for does not exist.
using ConsoleDocument = std::optional<std::string>;

/// What came of an action in the console, and who must hear of it.
struct ConsoleActed {
  struct Cancelled {
    Uuid job;
    int seq;  ///< of its newest event
  };
  std::string document;  ///< JSON text
  std::vector<Cancelled> cancelled;
  std::vector<std::string> owners;  ///< of jobs that were changed
  std::vector<std::string> queues;  ///< that workers may claim from now
};

}  // namespace await::core
