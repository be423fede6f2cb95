#include "wire/sse.h"

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

std::string sse_retry(std::int64_t ms) { return "retry: " + std::to_string(ms) + "\n\n"; }

}  // namespace await::wire
