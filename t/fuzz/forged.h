#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/siphash.h"
#include "base/text.h"

namespace await::fuzz {

/// A user's cursor of these bytes, signed as core/snapshot_cursor.cc signs: what only one who knows the key
/// could make, so that what is behind the signature is tried as well.
inline std::string forged(const SipKey &key, std::string_view raw, const Uuid &user) {
  std::string text(raw);
  text.append(reinterpret_cast<const char *>(user.raw().data()), user.raw().size());
  std::uint64_t sum = siphash(key, text);
  std::string out(raw);
  for (int shift = 0; shift < 64; shift += 8)
    out += static_cast<char>(sum >> shift & 0xff);
  return base64url(out);
}

/// Seven bits a byte, the lowest first (LEB128): the cursor's numbers.
inline void put_number(std::string &out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

}  // namespace await::fuzz
