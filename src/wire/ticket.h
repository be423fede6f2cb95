#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace await::wire {

/// What lets somebody in once: signed by any edge, believed by every edge of the same database.
struct Ticket {
  Uuid id;
  std::uint32_t timeline = 0;         ///< the database it was given for (core/cursor.h)
  std::string owner;                  ///< empty: unscoped
  std::vector<std::string> channels;  ///< what it is for
  std::int64_t issued_ms = 0;         ///< Unix time, by the database's clock
  std::int64_t until_ms = 0;          ///< to be used before
  std::int64_t session_s = 0;  ///< Unix time when what it opens ends, as its owner's token would; 0: never
};

/// base64url of its JSON, a dot, base64url of an HMAC-SHA-256.
/// @param key  the database's own; empty: none is known yet, and nothing comes of it
std::string seal(const Ticket &ticket, std::string_view key);

/// What somebody shows as a ticket.
struct Unsealed {
  /// `foreign`: it names a key that is not among these; somebody who knows more keys may believe it.
  enum class Seal { good, broken, foreign };
  Seal seal = Seal::broken;
  Ticket ticket;  ///< of a good one
};
/// Broken where it is garbled or too long, or not signed with the key that it names.
Unsealed unseal(std::string_view text, std::span<const std::string> keys);

}  // namespace await::wire
