#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "io/poll_loop.h"

namespace await {

/// An HTTP server on 127.0.0.1 that says, byte by byte, what a test wants, in the loop of the test.
class HttpServerFake {
 public:
  class Connection {
   public:
    std::string received;  ///< all of it; the test may clear it
    /// Sent as fast as the client takes it.
    void say(std::string bytes) {
      to_send_ += bytes;
      want();
    }
    /// Says this again and again.
    void say_for_ever(std::string bytes) {
      again_ = std::move(bytes);
      want();
    }
    void close_when_said() {
      closing_ = true;
      want();
    }
    /// Reads nothing until it is called with false.
    void be_deaf(bool deaf) {
      deaf_ = deaf;
      want();
    }
    std::int64_t sent = 0;
    std::int64_t received_bytes = 0;

   private:
    friend class HttpServerFake;
    void want() { watch_->want(!deaf_, closing_ || !to_send_.empty() || !again_.empty()); }

    int fd_ = -1;
    std::unique_ptr<io::FdWatcher> watch_;
    std::string to_send_;
    std::string again_;
    bool closing_ = false;
    bool deaf_ = false;
  };
  /// Called when a connection has received something.
  using Handler = std::function<void(Connection &)>;

  HttpServerFake(io::PollLoop &loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(fd_, reinterpret_cast<sockaddr *>(&address), size) != 0 || ::listen(fd_, 16) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &size) != 0)
      port_ = 0;
    else
      port_ = ntohs(address.sin_port);
    watch_ = loop.watch(fd_, [this] { on_accept(); });
    watch_->want(true, false);
  }
  ~HttpServerFake() {
    close_listener();
    while (!connections_.empty())
      drop(connections_.begin());
  }

  std::string url(const std::string &path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int port() const { return port_; }
  int accepted() const { return accepted_; }
  std::size_t open() const { return connections_.size(); }
  void close_listener() {
    watch_.reset();
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }

 private:
  using Connections = std::list<Connection>;

  void drop(Connections::iterator at) {
    at->watch_.reset();
    ::close(at->fd_);
    connections_.erase(at);
  }

  void on_accept() {
    int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
      return;
    ++accepted_;
    auto at = connections_.emplace(connections_.end());
    at->fd_ = fd;
    at->watch_ = loop_.watch(fd, [this, at] { on_ready(at); });
    at->want();
  }

  void on_ready(Connections::iterator at) {
    char buffer[65536];
    ssize_t n = at->deaf_ ? -1 : ::recv(at->fd_, buffer, sizeof buffer, 0);
    if (n == 0 || (n < 0 && !at->deaf_ && errno != EAGAIN))
      return drop(at);
    if (n > 0) {
      at->received.append(buffer, static_cast<std::size_t>(n));
      at->received_bytes += n;
      handler_(*at);
    }
    if (at->to_send_.empty())
      at->to_send_ = at->again_;
    if (!at->to_send_.empty()) {
      ssize_t sent = ::send(at->fd_, at->to_send_.data(), at->to_send_.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN)
        return drop(at);
      if (sent > 0) {
        at->to_send_.erase(0, static_cast<std::size_t>(sent));
        at->sent += sent;
      }
    }
    if (at->to_send_.empty() && at->closing_)
      return drop(at);
    at->want();
  }

  io::PollLoop &loop_;
  Handler handler_;
  int fd_ = -1;
  int port_ = 0;
  int accepted_ = 0;
  std::unique_ptr<io::FdWatcher> watch_;
  Connections connections_;
};

}  // namespace await
