#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace await::wire {

/// `type/subtype`, optionally with well-formed parameters (RFC 9110 §8.3.1): safe to send on.
bool is_media_type(std::string_view value);
/// `type/subtype` in lower case, without parameters.
std::string essence(std::string_view media_type);

/// A parameter of a header value like `form-data; name="a"; filename="b"`; quotes undone, and as
/// browsers have it `%22`, `%0D`, `%0A` undone too (WHATWG HTML §4.10.21.8).
std::optional<std::string> parameter(std::string_view value, std::string_view name);

/// Content-Disposition (RFC 6266) with a file name (RFC 8187 where it is not ASCII).
/// @param attachment  else inline
std::string disposition(bool attachment, const std::optional<std::string> &file_name);

/// A file name without its path, of either kind of slash.
std::string_view base_name(std::string_view path);

/// The bytes asked for by a Range field of one range (RFC 9110 §14.2).
struct Range {
  enum class Kind { whole, part, unsatisfiable } kind = Kind::whole;
  std::int64_t first = 0;
  std::int64_t last = 0;  ///< inclusive
};
/// Malformed or of several ranges: whole, as the RFC allows.
Range parse_range(std::string_view field, std::int64_t size);

/// Whether an If-None-Match field names `etag` (weak comparison, RFC 9110 §13.1.2).
bool etag_listed(std::string_view field, std::string_view etag);
/// Whether an If-Match field names `etag` (strong comparison, RFC 9110 §13.1.1): no weak one is ever named.
bool etag_listed_strongly(std::string_view field, std::string_view etag);

}  // namespace await::wire
