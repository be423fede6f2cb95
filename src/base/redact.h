#pragma once

#include <string>
#include <string_view>

namespace await {

/// The address of a backend (a conninfo or URL of libpq, a Redis URL, or a failed attempt at one) in a form
/// that may be shown in messages and logs. Parts that are known not to be secret are kept, everything else is
/// replaced by "***", including everything from the first place that cannot be parsed.
std::string redact(std::string_view address);

/// A message of libpq about `address`, in which quoted text is replaced by "***" unless redact() keeps it.
std::string redact_message(std::string_view message, std::string_view address);

/// `text` with each occurrence of `secret` replaced by "***". A secret of less than 4 bytes is not replaced,
/// because it occurs in ordinary words.
std::string scrub(std::string text, std::string_view secret);

}  // namespace await
