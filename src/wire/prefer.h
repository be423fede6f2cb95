#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace await::wire {

/// The preferences of a client (RFC 7240). Malformed and unknown preferences are ignored (§2).
struct Prefer {
  bool respond_async = false;
  bool wait = false;                   ///< for how long is not said
  std::optional<std::int64_t> wait_s;  ///< at most 1,000,000,000
};

/// Adds the preferences of one Prefer header line. If a preference occurs twice, the first one counts.
void parse_prefer(std::string_view field, Prefer &prefer);

}  // namespace await::wire
