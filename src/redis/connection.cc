#include "redis/connection.h"

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/redact.h"

namespace await::redis {
namespace {

constexpr std::int64_t kConnectMs = 3'000;
constexpr int kReads = 4;  // of 16 KB each, before other connections have their turn

struct Target {
  sockaddr_storage address{};
  socklen_t length = 0;
};

Target target_of(const Address &address) {
  Target target;
  if (!address.path.empty()) {
    auto *to = reinterpret_cast<sockaddr_un *>(&target.address);
    to->sun_family = AF_UNIX;
    std::strncpy(to->sun_path, address.path.c_str(), sizeof to->sun_path - 1);
    target.length = sizeof *to;
    return target;
  }
  auto *v4 = reinterpret_cast<sockaddr_in *>(&target.address);
  auto *v6 = reinterpret_cast<sockaddr_in6 *>(&target.address);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(address.port));
    target.length = sizeof *v4;
  } else if (inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(address.port));
    target.length = sizeof *v6;
  }
  return target;
}

}  // namespace

void Connection::FreeReader::operator()(redisReader *reader) const { redisReaderFree(reader); }

Connection::Connection(io::Loop &loop, io::Log &log, io::Random &random, Address address, Observer &observer)
    : loop_(loop),
      log_(log),
      random_(random),
      address_(std::move(address)),
      observer_(observer),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

Connection::~Connection() {
  watch_.reset();
  if (fd_ >= 0)
    ::close(fd_);
}

void Connection::start() {
  if (state_ == State::idle)
    connect();
}

void Connection::connect() {
  Target target = target_of(address_);
  fd_ = target.length == 0
            ? -1
            : ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    lost(target.length == 0 ? "the host is not a numeric address" : std::strerror(errno));
    return;
  }
  int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on a Unix socket; this is ignored
  ::setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  state_ = State::connecting;
  timer_->set(kConnectMs);
  if (::connect(fd_, reinterpret_cast<sockaddr *>(&target.address), target.length) != 0 &&
      errno != EINPROGRESS) {
    lost(std::strerror(errno));
    return;
  }
  watch_ = loop_.watch(fd_, [this] { on_socket(); });
  if (!watch_) {
    lost("worker_connections are not enough");
    return;
  }
  watch_->want(false, true);
}

void Connection::on_socket() {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0)
      lost(std::strerror(error));
    else
      on_connected();
    return;
  }
  read();
  if (state_ == State::ready && !out_.empty())
    flush();
}

void Connection::on_connected() {
  state_ = State::ready;
  heard_ = true;
  timer_->set(kPingMs);
  reader_.reset(redisReaderCreate());
  guard_ = {};
  greeting_ = 0;
  out_.clear();
  watch_->want(true, false);
  if (!address_.password.empty()) {
    if (address_.user.empty())
      command({"AUTH", address_.password});
    else
      command({"AUTH", address_.user, address_.password});
    ++greeting_;
  }
  if (address_.database != 0) {
    command({"SELECT", std::to_string(address_.database)});
    ++greeting_;
  }
  if (told_down_)
    log_.info("reconnected to Redis");
  told_down_ = false;
  observer_.connected();
}

void Connection::command(const std::vector<std::string_view> &words) {
  if (state_ != State::ready)
    return;
  std::vector<const char *> argv;
  std::vector<std::size_t> lengths;
  for (std::string_view word : words) {
    argv.push_back(word.data());
    lengths.push_back(word.size());
  }
  char *formatted = nullptr;
  int length = redisFormatCommandArgv(&formatted, static_cast<int>(argv.size()), argv.data(), lengths.data());
  if (length < 0)
    return;
  out_.append(formatted, static_cast<std::size_t>(length));
  redisFreeCommand(formatted);
  if (!flush_task_.linked())
    loop_.post(flush_task_);
}

void Connection::flush() {
  while (state_ == State::ready && !out_.empty()) {
    ssize_t n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n > 0) {
      out_.erase(0, static_cast<std::size_t>(n));
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      break;
    } else {
      lost(std::strerror(errno));
      return;
    }
  }
  if (out_.size() > kMaxQueued)
    lost("Redis does not read, send buffer limit exceeded");
  else if (state_ == State::ready)
    watch_->want(true, !out_.empty());
}

void Connection::read() {
  char buffer[16384];
  for (int i = 0; i < kReads && state_ == State::ready; ++i) {
    ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n <= 0) {
      lost(n == 0 ? "connection closed by Redis" : std::strerror(errno));
      return;
    }
    if (const char *why = guard_.feed({buffer, static_cast<std::size_t>(n)})) {
      lost(why);
      return;
    }
    if (redisReaderFeed(reader_.get(), buffer, static_cast<std::size_t>(n)) != REDIS_OK) {
      lost("invalid reply");
      return;
    }
    parse();
  }
}

void Connection::parse() {
  while (state_ == State::ready) {
    void *raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
      lost("invalid reply");
      return;
    }
    if (raw == nullptr)
      return;
    std::unique_ptr<redisReply, void (*)(void *)> reply(static_cast<redisReply *>(raw), freeReplyObject);
    heard_ = true;  // only complete replies count, because single bytes could be sent forever
    if (greeting_ > 0) {
      --greeting_;
      if (reply->type == REDIS_REPLY_ERROR) {
        // a Redis server that does not support AUTH repeats its arguments in the error
        std::string_view said(reply->str, reply->len);
        lost(scrub(std::string(said.substr(0, said.find(", with args"))), address_.password));
        return;
      }
      if (reply->type != REDIS_REPLY_STATUS) {
        lost("invalid reply to AUTH or SELECT");
        return;
      }
      continue;
    }
    observer_.replied(*reply);
  }
}

void Connection::lost(const std::string &why) {
  bool connecting = state_ == State::connecting;
  watch_.reset();
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
  out_.clear();
  state_ = State::waiting;
  if (!told_down_)
    log_.error(std::string(connecting ? "cannot connect to" : "lost connection to") +
               " Redis, retrying (polling PostgreSQL meanwhile): " + why);
  told_down_ = true;
  timer_->set(backoff_.next(random_.unit()));
}

void Connection::on_timer() {
  if (state_ == State::connecting) {
    lost("connect timeout");
  } else if (state_ == State::waiting) {
    connect();
  } else if (!std::exchange(heard_, false)) {
    lost("timeout waiting for a reply");
  } else {
    backoff_.reset();  // reset only now, so that a server that answers and then fails is not tried ten times
                       // a second
    timer_->set(kPingMs);
    command({"PING"});
  }
}

}  // namespace await::redis
