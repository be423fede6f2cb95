#include "wire/sse.h"

#include <cstdio>

#include "wire/document.h"
#include "wire/page_encodings.h"

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

FrameKind kind_of(FrameStyle style) {
  if (style.chunked)
    return style.named ? FrameKind::sse_chunked : FrameKind::sse_unnamed_chunked;
  return style.named ? FrameKind::sse : FrameKind::sse_unnamed;
}

}  // namespace

const Bytes &event_frame(const core::EventPage &page, const core::Event &event,
                         const core::Position &position, FrameStyle style, const EventEncoding &encoding) {
  EncodedPage::Event &encoded = PageEncodings::of(page, encoding).of(page, event);
  Bytes &frame = encoded.frame(kind_of(style));
  std::string_view type = encoding.name_of(event.type);
  if (!frame.empty() || type.empty())
    return frame;
  if (encoded.json.empty())
    encoded.json = Bytes(encode_event(page, event, encoding));
  std::string text =
      sse_frame(position.cursor(), style.named ? type : std::string_view(), encoded.json.view());
  frame = Bytes(style.chunked ? chunk(text) : text);
  return frame;
}

const Bytes &page_frame(const core::EventPage &page, core::Position &position, FrameStyle style,
                        const EventEncoding &encoding) {
  Bytes &all = PageEncodings::of(page, encoding).frame(kind_of(style));
  bool made = !all.empty();
  std::string text;
  for (const core::Event &event : page.events) {
    position.take(page, event);
    if (!made)
      text += event_frame(page, event, position, style, encoding).view();
  }
  if (!made)
    all = Bytes(text);
  return all;
}

std::string mixed_frame(const core::EventPage &page, const core::Event &event, std::string_view cursor,
                        bool named, const EventEncoding &encoding) {
  std::string_view type = encoding.name_of(event.type);
  if (type.empty())
    return {};
  Bytes &json = PageEncodings::of(page, encoding).of(page, event).json_with_channel;
  if (json.empty())
    json = Bytes(encode_event(page, event, encoding, true));
  return sse_frame(cursor, named ? type : std::string_view(), json.view());
}

std::string sse_retry(std::int64_t ms) { return "retry: " + std::to_string(ms) + "\n"; }

}  // namespace await::wire
