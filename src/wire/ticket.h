#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace await::wire {

/// What lets somebody in once: signed by any edge, believed by every edge of the same database.
struct Ticket {
  Uuid id;
  std::string owner;                  ///< empty: unscoped
  std::vector<std::string> channels;  ///< what it is for
  std::int64_t issued_ms = 0;         ///< Unix time, by the database's clock
  std::int64_t until_ms = 0;          ///< to be used before
  std::int64_t session_s = 0;  ///< Unix time when what it opens ends, as its owner's token would; 0: never
};

/// base64url of its JSON, a dot, base64url of an HMAC-SHA-256.
/// @param key  the database's own; empty: none is known yet, and nothing comes of it
std::string seal(const Ticket &ticket, std::string_view key);
/// Nothing where it is garbled, too long or signed otherwise.
std::optional<Ticket> unseal(std::string_view text, std::string_view key);

}  // namespace await::wire
