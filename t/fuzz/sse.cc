// Event streams: whatever the data, an independent parser (after WHATWG HTML §9.2.6) gets back one event
// with the id, the type and the data that were sent. Data with CR or CRLF comes back with LF.

#include "wire/sse.h"

#include <string>
#include <vector>

#include "fuzz/input.h"

namespace {

struct Event {
  std::string id, type, data;
};

/// The specification's own words, in code: lines end by CR LF, LF or CR.
std::vector<Event> parse(std::string_view stream) {
  std::vector<Event> events;
  std::string id, type, data;
  bool any = false;
  while (!stream.empty()) {
    std::size_t end = stream.find_first_of("\r\n");
    std::string_view line = stream.substr(0, end);
    std::size_t skip = end == stream.npos ? stream.size() : end + (stream.substr(end, 2) == "\r\n" ? 2 : 1);
    stream.remove_prefix(skip);
    if (line.empty()) {
      if (any) {
        data.pop_back();
        events.push_back({id, type, data});
      }
      type.clear(), data.clear(), any = false;
      continue;
    }
    std::size_t colon = line.find(':');
    std::string_view field = line.substr(0, colon);
    std::string_view value = colon == line.npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' '))
      value.remove_prefix(1);
    if (field == "id" && value.find('\0') == value.npos)
      id = value;
    else if (field == "event")
      type = value;
    else if (field == "data")
      data.append(value) += '\n', any = true;
  }
  return events;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using await::fuzz::must;
  await::fuzz::Input in(data, size);
  std::string type(1 + in.byte() % 8, static_cast<char>('a' + in.byte() % 26));
  std::string_view text = in.rest();
  std::string stream = await::wire::sse_retry(1500) + await::wire::sse_frame("c-1_", type, text);
  stream += await::wire::kSseComment;
  stream += await::wire::sse_frame("next", "", "{}");
  auto events = parse(stream);
  std::string expected;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      expected += '\n';
      i += i + 1 < text.size() && text[i + 1] == '\n' ? 1 : 0;
    } else {
      expected += text[i];
    }
  }
  must(events.size() == 2, "data that ends an event, or begins another");
  must(events[0].id == "c-1_" && events[0].type == type, "data that changes id or type");
  must(events[0].data == expected, "data that comes back changed");
  must(events[1].id == "next" && events[1].type.empty() && events[1].data == "{}",
       "data that reaches the next event");
  return 0;
}
