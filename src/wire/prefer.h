#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace await::wire {

/// What a client prefers (RFC 7240). Anything malformed or unknown is ignored (§2).
struct Prefer {
  bool respond_async = false;
  std::optional<std::int64_t> wait_s;
};

/// Adds what one Prefer field line says; of a preference given twice the first counts.
void parse_prefer(std::string_view field, Prefer &prefer);

}  // namespace await::wire
