#pragma once

// What every part of the load generator needs: time, sockets of many source addresses, one epoll loop,
// latencies, and JSON lines for the script that drives it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace load {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] inline void fail(const std::string &what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

/// --name value, as given; and what stands alone.
class Options {
 public:
  Options(int argc, char **argv) {
    for (int i = 2; i + 1 < argc; i += 2)
      values_[std::string(argv[i]).substr(2)] = argv[i + 1];
  }
  std::string text(const std::string &name, const std::string &otherwise = "") const {
    auto at = values_.find(name);
    return at == values_.end() ? otherwise : at->second;
  }
  long number(const std::string &name, long otherwise = 0) const {
    auto at = values_.find(name);
    return at == values_.end() ? otherwise : std::atol(at->second.c_str());
  }

 private:
  std::map<std::string, std::string> values_;
};

/// The n-th of many clients connects from an address of its own, 28,000 to each: one address has too few
/// ports.
inline sockaddr_in source(std::size_t n) {
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(0x7f000101U + static_cast<std::uint32_t>(n / 4000));
  return from;
}

inline int connect_to(int port, std::size_t n) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    fail("socket");
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in from = source(n);
  if (::bind(fd, reinterpret_cast<sockaddr *>(&from), sizeof from) != 0)
    fail("bind");
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0)
    fail("connect to port " + std::to_string(port));
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

inline void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      ::usleep(100);
      continue;
    }
    if (n <= 0)
      fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Reads one line from a blocking socket, for Redis' replies.
inline std::string read_line(int fd) {
  std::string line;
  char c;
  while (::recv(fd, &c, 1, 0) == 1) {
    line += c;
    if (c == '\n')
      break;
  }
  return line;
}

class Epoll {
 public:
  Epoll() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Epoll() { ::close(fd_); }
  void add(int fd, std::size_t tag, std::uint32_t events = EPOLLIN) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    if (::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0)
      fail("epoll_ctl");
  }
  /// Calls `visit(tag)` for each that is ready; false: nothing came in `ms`.
  template <class Visit>
  bool wait(int ms, Visit visit) {
    epoll_event events[512];
    int n = ::epoll_wait(fd_, events, 512, ms);
    for (int i = 0; i < n; ++i)
      visit(static_cast<std::size_t>(events[i].data.u64));
    return n > 0;
  }

 private:
  int fd_;
};

/// Latencies in seconds, told in milliseconds.
class Latencies {
 public:
  void add(double seconds) { values_.push_back(static_cast<float>(seconds)); }
  void take(const Latencies &other) {
    values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  }
  double at(double p) {
    if (values_.empty())
      return 0;
    auto n = static_cast<std::size_t>(p * static_cast<double>(values_.size() - 1));
    std::nth_element(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(n), values_.end());
    return values_[n] * 1000.0;
  }
  std::string json() {
    char out[160];
    std::snprintf(out, sizeof out, "\"p50\":%.4f,\"p99\":%.4f,\"p999\":%.4f,\"max\":%.4f", at(.5), at(.99),
                  at(.999), at(1));
    return out;
  }

 private:
  std::vector<float> values_;
};

/// One line for the driver.
template <class... Args>
void say(const char *format, Args... args) {
  std::printf(format, args...);
  std::printf("\n");
  std::fflush(stdout);
}

inline std::string listen_line() {
  std::string line;
  int c;
  while ((c = std::getchar()) != EOF && c != '\n')
    line += static_cast<char>(c);
  return line;
}

/// A Redis one writes to; replies are read in bulk.
class Redis {
 public:
  Redis(int port, const std::string &password) : fd_(connect_to(port, 0)) {
    if (!password.empty()) {
      send_all(fd_, command({"AUTH", password}));
      read_line(fd_);
    }
  }
  ~Redis() { ::close(fd_); }
  int fd() const { return fd_; }
  static std::string command(const std::vector<std::string_view> &words) {
    std::string out = "*" + std::to_string(words.size()) + "\r\n";
    for (std::string_view word : words)
      out += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
    return out;
  }

 private:
  int fd_;
};

/// "channel message" lines: what is to be PUBLISHed.
inline std::vector<std::pair<std::string, std::string>> read_messages(const std::string &path) {
  std::ifstream in(path);
  std::vector<std::pair<std::string, std::string>> out;
  for (std::string line; std::getline(in, line);) {
    auto space = line.find(' ');
    out.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return out;
}

inline std::vector<std::string> read_lines(const std::string &path) {
  std::ifstream in(path);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);)
    out.push_back(line);
  return out;
}

int hold(const Options &options);
int fanout(const Options &options);
int unicast(const Options &options);
int submit(const Options &options);
int deliver(const Options &options);
int work(const Options &options);
int relay(const Options &options);
int raw(const Options &options);

}  // namespace load
