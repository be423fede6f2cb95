#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/job.h"
#include "core/position.h"
#include "wire/event_encoding.h"

namespace await::wire {

/// A message of a client on a WebSocket with the subprotocol `await.v1`.
struct SocketRequest {
  enum Op { subscribe, unsubscribe, ping, malformed } op = malformed;
  std::string channel;  ///< of a ping: empty if it names none
  std::string cursor;
  const char *why = "";  ///< the reason, if malformed
};
SocketRequest parse_request(std::string_view text);

/// Messages of the server other than events, as text without WebSocket frames.
std::string encode_subscribed(std::string_view channel, std::string_view cursor, std::string_view state);
std::string encode_unsubscribed(std::string_view channel);
std::string encode_reset(std::string_view channel, std::string_view cursor, std::string_view state);
/// @param channel  empty if the error concerns no channel
std::string encode_error(std::string_view channel, int status, std::string_view detail);
/// The answer to a ping that names a channel.
/// @param cursor  behind what was sent of it; empty: not told
std::string encode_beat(std::string_view channel, std::string_view cursor);
std::string encode_bye(std::int64_t retry_ms);
inline constexpr std::string_view kBeat = R"({"op":"beat"})";

/// An event as a complete frame, shared by all clients that read the same channel in the same format. Empty
/// if the format hides the event. Call after `position` has taken the event.
const Bytes &socket_frame(const core::EventPage &page, const core::Event &event,
                          const core::Position &position, const EventEncoding &encoding);
/// The frames of all events of a page, in one string. Advances `position`, which must be directly before
/// them, past the events.
const Bytes &socket_frames(const core::EventPage &page, core::Position &position,
                           const EventEncoding &encoding);

}  // namespace await::wire
