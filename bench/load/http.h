#pragma once

// As much HTTP/1.1 as a load generator needs: where a response ends, its status, its headers.

#include <string>
#include <string_view>

namespace load {

struct Response {
  int status = 0;
  std::string_view head;
  std::string_view body;
  std::size_t size = 0;  ///< of all of it
};

inline std::string_view header(std::string_view head, std::string_view name) {
  auto at = head.find(name);
  if (at == std::string_view::npos)
    return {};
  at += name.size();
  return head.substr(at, head.find('\r', at) - at);
}

/// The first response in `bytes`; status 0: not whole yet. With Content-Length or in one chunked run.
inline Response parse(std::string_view bytes) {
  auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return {};
  Response r;
  r.head = bytes.substr(0, end + 2);
  std::string_view rest = bytes.substr(end + 4);
  auto length = header(r.head, "ontent-Length: ");
  if (length.empty())
    length = header(r.head, "ontent-length: ");
  std::size_t size = 0;
  if (!length.empty()) {
    size = static_cast<std::size_t>(std::atol(std::string(length).c_str()));
  } else if (r.head.find("chunked") != std::string_view::npos) {
    auto last = rest.find("\r\n0\r\n\r\n");
    if (last == std::string_view::npos)
      return {};
    size = last + 7;
  }
  if (rest.size() < size)
    return {};
  r.body = rest.substr(0, size);
  r.size = end + 4 + size;
  r.status = std::atoi(std::string(bytes.substr(9, 3)).c_str());
  return r;
}

}  // namespace load
