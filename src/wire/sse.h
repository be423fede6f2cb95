#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/job.h"
#include "core/position.h"
#include "wire/event_encoding.h"

namespace await::wire {

// Some clients take every blank line for the end of an event, even if the event has no data. So only blocks
// with data end with a blank line: `retry:` and comments take effect without one.

/// A frame of an event stream (WHATWG HTML §9.2.6). `data` is split at CR and LF, so that it cannot start
/// another field.
/// @param type  omitted if empty
std::string sse_frame(std::string_view id, std::string_view type, std::string_view data);

/// `text` as one chunk of a chunked body (RFC 9112 §7.1).
std::string chunk(std::string_view text);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// How the frames of a stream are written.
struct FrameStyle {
  bool named = true;     ///< with `event:`
  bool chunked = false;  ///< each frame a chunk
};
/// The frame of an event, shared by all clients that read the same channel in the same style and format.
/// Empty if the format hides the event. Call after `position` has taken the event.
const Bytes &event_frame(const core::EventPage &page, const core::Event &event,
                         const core::Position &position, FrameStyle style, const EventEncoding &encoding);
/// The frames of all events of a page in one string, also shared. Advances `position`, which must be directly
/// before them, past the events.
const Bytes &page_frame(const core::EventPage &page, core::Position &position, FrameStyle style,
                        const EventEncoding &encoding);
/// The frame of an event for a stream with several channels, including the channel. Empty if the format hides
/// the event.
/// @param cursor  the cursor of all channels
std::string mixed_frame(const core::EventPage &page, const core::Event &event, std::string_view cursor,
                        bool named, const EventEncoding &encoding);

/// The field `retry:`: it takes effect at once, so it needs no event, and a frame may follow.
std::string sse_retry(std::int64_t ms);

/// A heartbeat that is not visible to scripts.
inline constexpr std::string_view kSseComment = ":\n";

}  // namespace await::wire
