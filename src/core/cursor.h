#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace await::core {

/// What a client can be given, and may send, bytes.
inline constexpr std::size_t kMostCursor = 512;

/// Names one line of one database's history: system id, timeline, database. A cursor of another says
/// nothing here, for a failover reuses numbers.
std::uint32_t timeline_hash(std::string_view timeline);

/// The timeline that a cursor of one channel is of, whatever that is; nothing where it is garbled.
std::optional<std::uint32_t> cursor_timeline(std::string_view text);

/// How far somebody has read a job's events. Clients see it as an opaque, URL-safe word.
std::string encode_cursor(std::uint32_t timeline, const Uuid &job, int seq);

/// The seq of a cursor that says: this job is no longer kept, and its reader knows.
inline constexpr int kGone = INT32_MAX;

/// The seq in `text`; nothing where it is garbled, of another job or of another timeline.
std::optional<int> decode_cursor(std::string_view text, std::uint32_t timeline, const Uuid &job);

}  // namespace await::core
