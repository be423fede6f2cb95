#include "wire/socket_protocol.h"

#include <jansson.h>

#include <memory>
#include <utility>

#include "wire/channel.h"
#include "wire/document.h"
#include "wire/json_writer.h"
#include "wire/page_encodings.h"
#include "wire/websocket.h"

namespace await::wire {
namespace {

struct Release {
  void operator()(json_t *json) const { json_decref(json); }
};

std::optional<std::string> text_of(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  if (!json_is_string(value))
    return std::nullopt;
  return std::string(json_string_value(value), json_string_length(value));
}

std::string say(std::string_view op, std::string_view channel, std::string_view cursor,
                std::string_view state) {
  JsonWriter out;
  out.text("op", op);
  out.text("channel", channel);
  out.text("cursor", cursor);
  out.text("state", state);
  return out.take();
}

}  // namespace

SocketRequest parse_request(std::string_view text) {
  SocketRequest request;
  std::unique_ptr<json_t, Release> json(
      json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
  auto op = json && json_is_object(json.get()) ? text_of(json.get(), "op") : std::nullopt;
  if (!op) {
    request.why = "A message must be a JSON object with the member \"op\".";
    return request;
  }
  if (*op == "ping") {
    request.op = SocketRequest::ping;
    request.channel = text_of(json.get(), "channel").value_or("");
    return request;
  }
  if (*op != "subscribe" && *op != "unsubscribe") {
    request.why = "The member \"op\" must be subscribe, unsubscribe or ping.";
    return request;
  }
  auto channel = text_of(json.get(), "channel");
  auto cursor = text_of(json.get(), "cursor");
  if (!channel) {
    request.why = "The member \"channel\" must be a string such as job:<id>.";
    return request;
  }
  request.channel = std::move(*channel);
  if (!cursor && json_object_get(json.get(), "cursor") != nullptr &&
      !json_is_null(json_object_get(json.get(), "cursor"))) {
    request.why = "The member \"cursor\" must be a string.";
    return request;
  }
  request.cursor = cursor.value_or("");
  request.op = *op == "subscribe" ? SocketRequest::subscribe : SocketRequest::unsubscribe;
  return request;
}

std::string encode_subscribed(std::string_view channel, std::string_view cursor, std::string_view state) {
  return say("subscribed", channel, cursor, state);
}

std::string encode_unsubscribed(std::string_view channel) {
  JsonWriter out;
  out.text("op", "unsubscribed");
  out.text("channel", channel);
  return out.take();
}

std::string encode_reset(std::string_view channel, std::string_view cursor, std::string_view state) {
  return say("reset", channel, cursor, state);
}

std::string encode_error(std::string_view channel, int status, std::string_view detail) {
  JsonWriter out;
  out.text("op", "error");
  if (!channel.empty())
    out.text("channel", channel);
  out.number("status", status);
  out.text("detail", detail);
  return out.take();
}

std::string encode_beat(std::string_view channel, std::string_view cursor) {
  JsonWriter out;
  out.text("op", "beat");
  out.text("channel", channel);
  if (!cursor.empty())
    out.text("cursor", cursor);
  return out.take();
}

std::string encode_bye(std::int64_t retry_ms) {
  JsonWriter out;
  out.text("op", "bye");
  out.number("retry", retry_ms);
  return out.take();
}

const Bytes &socket_frame(const core::EventPage &page, const core::Event &event,
                          const core::Position &position, const EventEncoding &encoding) {
  Bytes &frame = PageEncodings::of(page, encoding).of(page, event).frame(FrameKind::websocket);
  if (!frame.empty() || encoding.name_of(event.type).empty())
    return frame;
  JsonWriter out;
  out.text("channel", channel_of(page));
  out.text("cursor", position.cursor());
  add_event(out, page, event, encoding);
  std::string text = out.take();
  frame = Bytes(websocket_text(encoding.event != nullptr ? encoding.event->apply(text) : text));
  return frame;
}

const Bytes &socket_frames(const core::EventPage &page, core::Position &position,
                           const EventEncoding &encoding) {
  Bytes &all = PageEncodings::of(page, encoding).frame(FrameKind::websocket);
  bool made = !all.empty();
  std::string text;
  for (const core::Event &event : page.events) {
    position.take(page, event);
    if (!made)
      text += socket_frame(page, event, position, encoding).view();
  }
  if (!made)
    all = Bytes(text);
  return all;
}

}  // namespace await::wire
