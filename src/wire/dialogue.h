#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/job.h"
#include "core/place.h"
#include "wire/shape.h"

namespace await::wire {

/// What a client says on a socket that speaks `await.v1`.
struct Request {
  enum Op { subscribe, unsubscribe, ping, malformed } op = malformed;
  std::string channel;
  std::string cursor;
  const char *why = "";  ///< of a malformed one
};
Request read_request(std::string_view text);

/// What the server says besides events. Texts, not frames yet.
std::string say_subscribed(std::string_view channel, std::string_view cursor, std::string_view state);
std::string say_unsubscribed(std::string_view channel);
std::string say_reset(std::string_view channel, std::string_view cursor, std::string_view state);
/// @param channel  empty: it is about none
std::string say_error(std::string_view channel, int status, std::string_view detail);
std::string say_bye(std::int64_t retry_ms);
inline constexpr std::string_view kBeat = R"({"op":"beat"})";

/// An event as a whole frame, shared by all who read the same history in the same shape; empty where the
/// shape hides it. `place` has just taken it.
const Bytes &socket_frame(const core::EventPage &page, const core::Event &event, const core::Place &place,
                          const Shape &shape);
/// All events of a page, each its frame, in one piece. Takes them into `place`, which stands right before
/// them.
const Bytes &socket_frames(const core::EventPage &page, core::Place &place, const Shape &shape);

}  // namespace await::wire
