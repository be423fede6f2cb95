// hold: opens connections with one request each and keeps them; says how fast, and what became of them.
// --port --n --head FILE (a request head; %ID% is the n-th line of --ids FILE) --kind stream|poll
// A stream tells by its first bytes that it stands. A poll is silent: after each 200 one more connection asks
// for what is answered at once, and as connections are accepted in order, that answer tells of those before
// it. Waits for a line on stdin, then says what came meanwhile.

#include "load/net.h"

namespace load {
namespace {

std::string replaced(std::string text, const std::string &what, const std::string &by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

/// Comes back when the server has accepted whoever came before.
void ask(int port, std::size_t n) {
  int fd = connect_to(port, n);
  send_all(fd, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  char buffer[4096];
  if (::recv(fd, buffer, sizeof buffer, 0) <= 0)
    fail("no answer to /nothing");
  ::close(fd);
}

/// No more than a backlog's worth unanswered.
constexpr std::size_t kWindow = 200;

}  // namespace

int hold(const Options &options) {
  auto n = static_cast<std::size_t>(options.number("n", 1000));
  int port = static_cast<int>(options.number("port"));
  bool stream = options.text("kind", "stream") == "stream";
  std::ifstream in(options.text("head"));
  std::string head((std::istreambuf_iterator<char>(in)), {});
  auto ids = read_lines(options.text("ids"));
  Epoll epoll;
  std::vector<int> fds(n);
  std::vector<bool> begun(n);
  std::size_t ready = 0;
  std::size_t closed = 0;
  std::size_t bytes = 0;
  auto take = [&](std::size_t i) {
    char buffer[16384];
    ssize_t got = ::recv(fds[i], buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) {
        ++closed;
        ::close(fds[i]);
      }
      return;
    }
    bytes += static_cast<std::size_t>(got);
    if (!begun[i]) {
      begun[i] = true;
      ++ready;
    }
  };
  double began = now();
  for (std::size_t i = 0; i < n; ++i) {
    fds[i] = connect_to(port, i);
    send_all(fds[i], replaced(head, "%ID%", ids.empty() ? "" : ids[i % ids.size()]));
    epoll.add(fds[i], i);
    if (!stream && (i + 1) % kWindow == 0)
      ask(port, i);
    while (stream && i + 1 - ready > kWindow && now() - began < 60)
      epoll.wait(10, take);
  }
  while (stream && ready + closed < n && now() - began < 90)
    epoll.wait(100, take);
  double seconds = now() - began;
  say("{\"connected\":%zu,\"ready\":%zu,\"closed\":%zu,\"seconds\":%.3f}", n, ready, closed, seconds);
  epoll.add(0, n);
  bool over = false;
  bytes = 0;
  double from = now();
  while (!over)
    epoll.wait(1000, [&](std::size_t i) { i == n ? void(over = true) : take(i); });
  say("{\"seconds\":%.3f,\"bytes\":%zu,\"closed\":%zu,\"begun\":%zu}", now() - from, bytes, closed, ready);
  return 0;
}

}  // namespace load
