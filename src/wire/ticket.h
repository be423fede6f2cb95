#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace await::wire {

/// A single-use ticket. It can be signed by any nginx, and is accepted by every nginx of the same database.
struct Ticket {
  Uuid id;
  std::uint32_t timeline = 0;         ///< the timeline of the database that issued it (core/cursor.h)
  std::string owner;                  ///< empty: no owner
  std::vector<std::string> channels;  ///< the channels that it grants access to
  std::int64_t issued_ms = 0;         ///< Unix time, by the clock of the database
  std::int64_t until_ms = 0;          ///< expiry
  std::int64_t session_s = 0;         ///< Unix time when a stream opened with it ends; 0: never
};

/// Encodes a ticket: base64url of its JSON, a dot, base64url of an HMAC-SHA-256.
/// @param key  the key of the database; if it is empty (not known yet), the result is empty
std::string seal(const Ticket &ticket, std::string_view key);

/// The result of decoding a ticket.
struct Unsealed {
  /// `foreign`: it names a key that is not known here, but may be valid on another node.
  enum class Seal { good, broken, foreign };
  Seal seal = Seal::broken;
  Ticket ticket;  ///< if the seal is good
};
/// `broken` if it is malformed or too long, or not signed with the key that it names.
Unsealed unseal(std::string_view text, std::span<const std::string> keys);

}  // namespace await::wire
