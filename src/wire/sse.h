#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace await::wire {

/// One frame of an event stream (WHATWG HTML §9.2.6). `data` is split at CR and LF, so nothing in it
/// can start another field.
/// @param type  left out where empty
std::string sse_frame(std::string_view id, std::string_view type, std::string_view data);

/// `retry:` in milliseconds, a field of its own.
std::string sse_retry(std::int64_t ms);

/// A heartbeat that scripts do not see.
inline constexpr std::string_view kSseComment = ":\n\n";

}  // namespace await::wire
