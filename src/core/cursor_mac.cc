#include "core/cursor_mac.h"

#include <algorithm>

namespace await::core {
namespace {

bool same(std::string_view one, std::string_view other) {
  unsigned differs = one.size() == other.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i)
    differs |= static_cast<unsigned char>(one[i] ^ other[i]);
  return differs == 0;
}

}  // namespace

std::string cursor_mac(const SipKey &key, std::string_view bytes) {
  std::uint64_t sum = siphash(key, bytes);
  std::string out;
  for (std::size_t i = 0; i < kCursorMac; ++i)
    out += static_cast<char>(sum >> (8 * i) & 0xff);
  return out;
}

bool is_cursor_mac(std::span<const SipKey> keys, std::string_view mac, std::string_view bytes) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const SipKey &key) { return same(mac, cursor_mac(key, bytes)); });
}

}  // namespace await::core
