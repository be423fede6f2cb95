#pragma once

#include <cstdint>
#include <optional>

namespace await::core {

/// Where a pending job stands, both by estimate: 1 is the next one. Empty: not known.
struct Standing {
  std::optional<std::int64_t> position;
  std::optional<std::int64_t> eta_ms;  ///< until it may be claimed
};

}  // namespace await::core
