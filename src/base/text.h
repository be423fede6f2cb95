#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await {

/// Case-insensitive comparison and lower case of ASCII, as for header names and media types.
bool iequals(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
/// `text` without spaces and tabs at both ends.
std::string_view trim(std::string_view text);
/// Returns the part before the first `separator`, or everything if there is none, and removes it and the
/// separator from `text`.
std::string_view cut(std::string_view &text, char separator);

/// Parses decimal digits. Empty if `text` contains anything else, or a number greater than `max`.
std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t max = INT64_MAX);
/// The same, but a number greater than `max` is `max`.
std::optional<std::int64_t> parse_clipped(std::string_view text, std::int64_t max);

/// Whether `bytes` are well-formed UTF-8 (Unicode §3.9 table 3-7) without NUL.
bool is_text(std::string_view bytes);

/// `bytes` as a text: each NUL and each byte that is not part of well-formed UTF-8 becomes U+FFFD.
std::string repair_text(std::string_view bytes);
/// The last `size` bytes, without the rest of a character that is cut in two at their start.
std::string_view text_tail(std::string_view bytes, std::size_t size);

/// `text` without control characters, for a line of a log.
std::string printable(std::string_view text);

/// Whether `text` is a `token` (RFC 9110 §5.6.2).
bool is_token(std::string_view text);

/// RFC 3339 in UTC with milliseconds: 2026-11-21T20:02:02.090Z.
std::string format_time(std::int64_t unix_ms);
/// Parses the format of format_time() into Unix milliseconds. Empty if `text` has any other format.
std::optional<std::int64_t> parse_timestamp(std::string_view text);
/// Parses a time of RFC 3339 in UTC, with Z, into Unix microseconds: seconds with up to nine decimal places,
/// of which six count. Empty if `text` has another format.
std::optional<std::int64_t> parse_utc(std::string_view text);

/// base64url (RFC 4648 §5) without padding.
std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace await
