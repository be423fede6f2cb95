#include "wire/sse.h"

#include <cstdio>
#include <utility>

#include "wire/document.h"

namespace await::wire {

std::string sse_frame(std::string_view id, std::string_view type, std::string_view data) {
  std::string out;
  out.reserve(id.size() + type.size() + data.size() + 32);
  if (!id.empty())
    out.append("id: ").append(id) += '\n';
  if (!type.empty())
    out.append("event: ").append(type) += '\n';
  while (true) {
    auto end = data.find_first_of("\r\n");
    out.append("data: ").append(data.substr(0, end)) += '\n';
    if (end == std::string_view::npos)
      break;
    bool crlf = data.substr(end, 2) == "\r\n";
    data.remove_prefix(end + (crlf ? 2 : 1));
  }
  return out += '\n';
}

std::string chunk(std::string_view text) {
  char size[24];
  int n = std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  std::string out;
  out.reserve(text.size() + static_cast<std::size_t>(n) + 2);
  return out.append(size, static_cast<std::size_t>(n)).append(text).append("\r\n");
}

namespace {

std::size_t which(FrameStyle style) { return (style.named ? 0U : 1U) + (style.chunked ? 2U : 0U); }

}  // namespace

const Bytes &event_frame(const core::EventPage &page, const core::Event &event, const core::Position &place,
                         FrameStyle style, const EventEncoding &shape) {
  suit(event, shape);
  Bytes &frame = event.frames[which(style)];
  std::string_view type = shape.name_of(event.type);
  if (!frame.empty() || type.empty())
    return frame;
  if (event.json.empty())
    event.json = Bytes(encode_event(page, event, shape));
  std::string text = sse_frame(place.cursor(), style.named ? type : std::string_view(), event.json.view());
  frame = Bytes(style.chunked ? chunk(text) : text);
  return frame;
}

const Bytes &page_frame(const core::EventPage &page, core::Position &place, FrameStyle style,
                        const EventEncoding &shape) {
  if (std::exchange(page.shape, &shape) != &shape)
    page.frames = {};
  Bytes &all = page.frames[which(style)];
  bool made = !all.empty();
  std::string text;
  for (const core::Event &event : page.events) {
    place.take(page, event);
    if (!made)
      text += event_frame(page, event, place, style, shape).view();
  }
  if (!made)
    all = Bytes(text);
  return all;
}

std::string mixed_frame(const core::EventPage &page, const core::Event &event, std::string_view cursor,
                        bool named, const EventEncoding &shape) {
  suit(event, shape);
  std::string_view type = shape.name_of(event.type);
  if (type.empty())
    return {};
  if (event.mixed.empty())
    event.mixed = Bytes(encode_event(page, event, shape, true));
  return sse_frame(cursor, named ? type : std::string_view(), event.mixed.view());
}

std::string sse_retry(std::int64_t ms) { return "retry: " + std::to_string(ms) + "\n\n"; }

}  // namespace await::wire
