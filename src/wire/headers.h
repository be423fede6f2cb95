#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace await::wire {

/// Whether `value` is `type/subtype`, optionally with well-formed parameters (RFC 9110 §8.3.1), and so safe
/// to send.
bool is_media_type(std::string_view value);
/// The `type/subtype` of a media type in lower case, without parameters.
std::string essence(std::string_view media_type);

/// Whether `text` is a `traceparent` (W3C Trace Context §3.2): version, trace id, parent id, flags.
bool is_traceparent(std::string_view text);

/// A parameter of a header value such as `form-data; name="a"; filename="b"`, without quotes, and with `%22`,
/// `%0D` and `%0A` decoded, as browsers encode them (WHATWG HTML §4.10.21.8).
std::optional<std::string> parameter(std::string_view value, std::string_view name);

/// A Content-Disposition (RFC 6266) with a file name (in the form of RFC 8187 if it is not ASCII).
/// @param attachment  false: inline
std::string disposition(bool attachment, const std::optional<std::string> &file_name);

/// The file name that a Content-Disposition gives (RFC 6266, RFC 8187), without a path. Empty if there is
/// none, or if it is not fit to be stored: UTF-8 of 1 to 255 bytes without control characters.
std::optional<std::string> disposition_file_name(std::string_view value);

/// The file name without its path; both slashes and backslashes separate directories.
std::string_view base_name(std::string_view path);

/// The bytes requested by a Range header (RFC 9110 §14.2).
struct Range {
  enum class Kind { whole, part, unsatisfiable } kind = Kind::whole;
  std::int64_t first = 0;
  std::int64_t last = 0;  ///< inclusive
};
/// A malformed header, and one with several ranges, selects the whole result, as the RFC permits.
Range parse_range(std::string_view field, std::int64_t size);

/// Whether an If-None-Match field names `etag` (weak comparison, RFC 9110 §13.1.2).
bool etag_listed(std::string_view field, std::string_view etag);
/// Whether an If-Match header names `etag` (strong comparison, RFC 9110 §13.1.1); never true for a weak one.
bool etag_listed_strongly(std::string_view field, std::string_view etag);

}  // namespace await::wire
