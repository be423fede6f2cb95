// hold: opens connections with one request each and keeps them; says how fast, and what became of them.
// --port --n --head FILE (a request head; %ID% is the n-th line of --ids FILE) --kind stream|poll
// Waits for a line on stdin, then says what came meanwhile.

#include "load/net.h"

namespace load {
namespace {

std::string replaced(std::string text, const std::string &what, const std::string &by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

}  // namespace

int hold(const Options &options) {
  auto n = static_cast<std::size_t>(options.number("n", 1000));
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
    fds[i] = connect_to(static_cast<int>(options.number("port")), i);
    send_all(fds[i], replaced(head, "%ID%", ids.empty() ? "" : ids[i % ids.size()]));
    epoll.add(fds[i], i);
    // no more than a backlog's worth unanswered
    while (stream && i + 1 - ready > 200 && now() - began < 60)
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
