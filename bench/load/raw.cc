// raw: the limit to compare with. A bare epoll loop that serves event streams and nothing else: a GET is
// held, the body of a POST goes to all who are. --port --mode once: one send a message and client; coalesce:
// what came in a round goes to each in one send. --beat seconds: a comment to each, from time to time.

#include "load/http.h"
#include "load/net.h"

namespace load {
namespace {

std::string chunked(const std::string &text) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

}  // namespace

int raw(const Options &options) {
  bool coalesce = options.text("mode", "once") == "coalesce";
  long beat = options.number("beat", 0);
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(options.number("port")));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr *>(&at), sizeof at) != 0 || ::listen(listener, 4096) != 0)
    fail("listen");
  Epoll epoll;
  epoll.add(listener, static_cast<std::size_t>(listener));
  std::vector<int> streams;
  std::map<int, std::string> in;
  std::string pending;
  std::string comment = chunked(":\n\n");
  std::size_t next_beat = 0;
  double last_beat = now();
  auto broadcast = [&](const std::string &bytes) {
    for (int fd : streams)
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  auto serve = [&](int fd) {
    std::string &bytes = in[fd];
    while (true) {
      auto end = bytes.find("\r\n\r\n");
      if (end == std::string::npos)
        return;
      if (bytes.starts_with("GET")) {
        send_all(fd,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
                     chunked(": hello\n\n"));
        streams.push_back(fd);
        bytes.erase(0, end + 4);
        continue;
      }
      auto length = header(std::string_view(bytes).substr(0, end + 2), "ontent-Length: ");
      auto size = static_cast<std::size_t>(std::atol(std::string(length).c_str()));
      if (bytes.size() < end + 4 + size)
        return;
      std::string frame =
          chunked("id: AcmxhTEiQ0NzAAAAAA\nevent: line\ndata: " + bytes.substr(end + 4, size) + "\n\n");
      bytes.erase(0, end + 4 + size);
      send_all(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
      if (coalesce)
        pending += frame;
      else
        broadcast(frame);
    }
  };
  say("{\"ready\":1}");
  while (true) {
    epoll.wait(beat > 0 ? 100 : -1, [&](std::size_t tag) {
      int fd = static_cast<int>(tag);
      if (fd == listener) {
        for (int c; (c = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
          ::setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          epoll.add(c, static_cast<std::size_t>(c));
        }
        return;
      }
      char buffer[65536];
      ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got > 0) {
        in[fd].append(buffer, static_cast<std::size_t>(got));
        serve(fd);
      } else if (got == 0 || errno != EAGAIN) {
        std::erase(streams, fd);
        in.erase(fd);
        ::close(fd);
      }
    });
    if (!pending.empty()) {
      broadcast(pending);
      pending.clear();
    }
    // heartbeats spread evenly, as a wheel does it
    if (beat > 0 && now() - last_beat >= 0.1) {
      double due = static_cast<double>(streams.size()) * (now() - last_beat) / static_cast<double>(beat);
      for (auto i = static_cast<std::size_t>(due); i > 0 && !streams.empty(); --i) {
        int fd = streams[next_beat++ % streams.size()];
        ::send(fd, comment.data(), comment.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      }
      last_beat = now();
    }
  }
}

}  // namespace load
