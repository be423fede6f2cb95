#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace await::wire {

/// The header webhook-signature of a delivery: for each key "v1," and, in base64, the HMAC-SHA256 of
/// "<id>.<timestamp>.<body>", with spaces between them. While a secret is replaced there are two.
/// @param timestamp  Unix seconds, of the header webhook-timestamp
/// Throws std::bad_alloc if OpenSSL cannot allocate memory.
/// Source: Standard Webhooks 1.0.0, "Signature scheme".
std::string webhook_signature(std::span<const std::string> keys, std::string_view id, std::int64_t timestamp,
                              std::string_view body);

}  // namespace await::wire
