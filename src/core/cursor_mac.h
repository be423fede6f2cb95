#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/siphash.h"

namespace await::core {

inline constexpr std::size_t kCursorMac = 8;  ///< bytes

/// The MAC of `bytes`, which stands at the end of a signed cursor.
std::string cursor_mac(const SipKey &key, std::string_view bytes);
/// Whether `mac` is that of `bytes` by one of the keys. Compares in constant time.
bool is_cursor_mac(std::span<const SipKey> keys, std::string_view mac, std::string_view bytes);

}  // namespace await::core
