#pragma once

#include <string>
#include <string_view>

namespace await {

/// A backend's address (libpq's conninfo or URL, a Redis URL, or what was meant as one) as it may be told in
/// a message or a log: what is known to be no secret stays, all else is "***". Nothing is taken on trust: a
/// text that cannot be read, from the place on where it cannot, is "***" too.
std::string redact(std::string_view address);

/// A message of libpq's about `address`: what it quotes is "***" unless redact() shows it.
std::string redact_message(std::string_view message, std::string_view address);

/// `text` with each occurrence of `secret` as "***". One of less than 4 bytes is in many words: it stays.
std::string scrub(std::string text, std::string_view secret);

}  // namespace await
