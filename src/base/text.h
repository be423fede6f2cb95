#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await {

/// ASCII only, as header names and media types are.
bool iequals(std::string_view a, std::string_view b);
std::string lower(std::string_view text);
/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);
/// What stands before the first `separator` (all, if there is none); `text` keeps what stands after it.
std::string_view cut(std::string_view &text, char separator);

/// Decimal digits and nothing else, at most `max`.
std::optional<std::int64_t> parse_number(std::string_view text, std::int64_t max = INT64_MAX);

/// Well-formed UTF-8 (Unicode §3.9 table 3-7) without NUL.
bool is_text(std::string_view bytes);

/// For a line of a log: without control characters.
std::string printable(std::string_view text);

/// RFC 9110 §5.6.2 `token`.
bool is_token(std::string_view text);

/// RFC 3339 in UTC with milliseconds: 2026-11-21T20:02:02.090Z.
std::string format_time(std::int64_t unix_ms);
/// What format_time() writes, and nothing else, as Unix milliseconds.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

/// base64url (RFC 4648 §5) without padding.
std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace await
