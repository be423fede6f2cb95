#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// The maximum size of a cursor in bytes, of those that are sent to clients and those that are accepted.
inline constexpr std::size_t kMostCursor = 512;

/// Identifies a timeline of a database: system id, timeline, database. Cursors of another timeline are not
/// accepted, because a failover reuses numbers.
std::uint32_t timeline_hash(std::string_view timeline);

/// The timeline of a cursor of a job or a topic. Empty if the cursor is malformed.
std::optional<std::uint32_t> cursor_timeline(std::string_view text);

/// The cursor of a client that has the events of a job or a topic up to `seq`: opaque and URL-safe.
std::string encode_cursor(std::uint32_t timeline, const Uuid &job, int seq);

/// The seq of a cursor of a client that knows that the job is no longer kept.
inline constexpr int kGone = INT32_MAX;

/// The seq in a cursor. Empty if it is malformed, of another channel or of another timeline.
std::optional<int> decode_cursor(std::string_view text, std::uint32_t timeline, const Uuid &job);

}  // namespace await::core
