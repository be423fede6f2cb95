#include "relay/stdout_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "wire/relay_document.h"

namespace await::relay {
namespace {

constexpr int kWritesInARow = 64;

/// What poll(2) says of the descriptor now; POLLERR if it is none to write to
/// (cli::keep_standard_descriptors).
int readiness(int fd) {
  if ((::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
    return POLLERR;
  pollfd ask{fd, POLLOUT, 0};
  return ::poll(&ask, 1, 0) == 1 ? ask.revents : 0;
}

}  // namespace

StdoutSink::StdoutSink(io::Loop &loop, int fd, bool thin)
    : fd_(fd),
      thin_(thin),
      watch_(loop.watch(fd, [this] { on_ready(); })),
      timer_(loop.timer([this] { end(std::exchange(outcome_, Done{})); }, io::Loop::Quit::may)) {
  watch_->want(false, false);
}

void StdoutSink::deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) {
  if (finished_) {
    reply_later(reply, Error{Code::unavailable, "standard output was closed"});
    return;
  }
  // a line of which an error has left the beginning is ended first: the event then comes again
  out_ = between_lines_ ? "" : out_.substr(written_, out_.find('\n', written_) + 1 - written_);
  written_ = 0;
  for (const RelayEvent &event : events)
    out_.append(wire::encode_relay_event(event, thin_)).append("\n");
  waiting_.push_back(reply);
  watch_->want(false, true);
}

void StdoutSink::check(core::Reply<Done> &reply) {
  bool open = (readiness(fd_) & (POLLNVAL | POLLERR)) == 0;
  reply_later(reply, open ? Result<Done>(Done{}) : Error{Code::unavailable, "standard output is closed"});
}

void StdoutSink::reply_later(core::Reply<Done> &reply, Result<Done> outcome) {
  waiting_.push_back(reply);
  outcome_ = std::move(outcome);
  timer_->set(0);
}

void StdoutSink::on_ready() {
  for (int i = 0; i < kWritesInARow && written_ < out_.size(); ++i) {
    int events = readiness(fd_);
    if ((events & (POLLOUT | POLLERR | POLLNVAL)) == 0)
      return;
    // where a pipe is writable it has room for so much
    std::size_t size = std::min<std::size_t>(out_.size() - written_, PIPE_BUF);
    ssize_t n = ::write(fd_, out_.data() + written_, size);
    if (n >= 0) {
      written_ += static_cast<std::size_t>(n);
      between_lines_ = n > 0 ? out_[written_ - 1] == '\n' : between_lines_;
    } else if (errno == EPIPE || errno == EBADF) {
      finished_ = true;
      watch_.reset();
      end(Error{Code::unavailable, "standard output was closed"});
      return;
    } else if (errno != EINTR && errno != EAGAIN) {
      watch_->want(false, false);
      end(Error{Code::unavailable, std::string("cannot write to standard output: ") + std::strerror(errno)});
      return;
    }
  }
  if (written_ < out_.size())
    return;
  watch_->want(false, false);
  end(Done{});
}

/// Asked also where there is nothing to write: then the descriptor is not watched.
bool StdoutSink::finished() const {
  return finished_ || (waiting_.empty() && (readiness(fd_) & POLLERR) != 0);
}

void StdoutSink::end(Result<Done> outcome) {
  if (core::Reply<Done> *reply = waiting_.pop_front())
    reply->deliver(std::move(outcome));
}

}  // namespace await::relay
