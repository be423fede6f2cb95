// What the command await makes of the answers of a server: event streams, JSON, texts for a terminal.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "tool/event_stream.h"
#include "tool/json.h"
#include "wire/json_check.h"

using namespace await;

namespace {

void check(bool good) {
  if (!good)
    std::abort();
}

/// The events of a stream that arrives in pieces of this size.
std::string events_of(std::string_view bytes, std::size_t size) {
  std::string out;
  tool::EventStream stream([&](const tool::EventStream::Event &event) {
    out += std::to_string(event.id.size()) + event.id + std::to_string(event.type.size()) + event.type +
           std::to_string(event.data.size()) + event.data;
    return event.type != "enough";
  });
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    if (!stream.feed(bytes.substr(0, size)))
      break;
  }
  return out;
}

bool is_harmless(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0))
      return false;
  }
  return is_text(text) || text.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char *>(data), size);
  std::string whole = events_of(bytes, size + 1);
  check(whole == events_of(bytes, 1));
  check(whole == events_of(bytes, 3));
  check(is_harmless(tool::shown(bytes)));
  if (wire::is_json(bytes)) {
    std::string line = wire::minify(bytes);
    std::string shown = tool::shown_json(line);
    check(is_harmless(shown) && wire::is_json(shown));
    for (const std::string &element : tool::elements(line)) {
      if (line.starts_with('['))
        check(wire::is_json(element));
    }
    (void)tool::text_at(line, "a.b");
    check(tool::text_at(shown, "a") == tool::text_at(line, "a"));
  }
  return 0;
}
