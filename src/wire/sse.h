#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/job.h"
#include "core/place.h"
#include "wire/shape.h"

namespace await::wire {

/// One frame of an event stream (WHATWG HTML §9.2.6). `data` is split at CR and LF, so nothing in it
/// can start another field.
/// @param type  left out where empty
std::string sse_frame(std::string_view id, std::string_view type, std::string_view data);

/// `text` as one chunk of a chunked body (RFC 9112 §7.1).
std::string chunk(std::string_view text);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// How a stream's frames are written.
struct FrameStyle {
  bool named = true;     ///< with `event:`
  bool chunked = false;  ///< each frame a chunk
};
/// The frame of an event, shared by all who read the same history in the same style and shape; empty where
/// the shape hides it. `place` has just taken it.
const Bytes &event_frame(const core::EventPage &page, const core::Event &event, const core::Place &place,
                         FrameStyle style, const Shape &shape);
/// All events of a page in one piece, shared too. Takes them into `place`, which stands right before them.
const Bytes &page_frame(const core::EventPage &page, core::Place &place, FrameStyle style,
                        const Shape &shape);
/// The frame of an event for a client that reads several histories on one stream: what is in it names the
/// channel. Empty where the shape hides it.
/// @param cursor  of all of them
std::string mixed_frame(const core::EventPage &page, const core::Event &event, std::string_view cursor,
                        bool named, const Shape &shape);

/// `retry:` in milliseconds, a field of its own.
std::string sse_retry(std::int64_t ms);

/// A heartbeat that scripts do not see.
inline constexpr std::string_view kSseComment = ":\n\n";

}  // namespace await::wire
