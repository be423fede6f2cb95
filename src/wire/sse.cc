#include "wire/sse.h"

#include <cstdio>

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

const Bytes &event_frame(const core::EventPage &page, const core::Event &event, std::string_view cursor,
                         FrameStyle style, std::int64_t value_max) {
  Bytes &frame = event.frames[(style.named ? 0 : 1) + (style.chunked ? 2 : 0)];
  if (!frame.empty())
    return frame;
  if (event.json.empty())
    event.json = Bytes(encode_event(page, event, value_max));
  std::string text =
      sse_frame(cursor, style.named ? std::string_view(event.type) : std::string_view(), event.json.view());
  frame = Bytes(style.chunked ? chunk(text) : text);
  return frame;
}

std::string sse_retry(std::int64_t ms) { return "retry: " + std::to_string(ms) + "\n\n"; }

}  // namespace await::wire
