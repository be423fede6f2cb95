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

Connection::Connection(io::Loop &loop, io::Random &random, io::Outage &outage, Address address,
                       Observer &observer)
    : loop_(loop),
      random_(random),
      address_(std::move(address)),
      observer_(observer),
      trouble_(outage),
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
      greet();
    return;
  }
  read();
  if (connected() && !out_.empty())
    flush();
}

void Connection::greet() {
  state_ = State::greeting;  // the timer goes on: also for a server that accepts and is silent
  reader_.reset(redisReaderCreate());
  guard_ = {};
  greeting_.clear();
  out_.clear();
  watch_->want(true, false);
  if (!address_.password.empty()) {
    if (address_.user.empty())
      append({"AUTH", address_.password});
    else
      append({"AUTH", address_.user, address_.password});
    greeting_.push_back("AUTH");
  }
  if (address_.database != 0) {
    append({"SELECT", std::to_string(address_.database)});
    greeting_.push_back("SELECT");
  }
  append({"PING"});
  greeting_.push_back("PING");
}

void Connection::on_greeting_reply(const redisReply &reply) {
  std::string command = greeting_.front();
  greeting_.pop_front();
  bool ping = greeting_.empty();
  if (reply.type == REDIS_REPLY_ERROR) {
    std::string why = error_text(reply);
    if (!ping || !why.starts_with("NOPERM")) {
      lost(command + " was answered with: " + why);
      return;
    }
    observer_.on_refusal("ping", why);  // Redis does answer, and the user may be allowed all that matters
  } else if (reply.type != REDIS_REPLY_STATUS) {
    lost("invalid reply to " + command);
    return;
  }
  if (ping)
    on_ready();
}

void Connection::on_ready() {
  state_ = State::ready;
  heard_ = true;
  sent_ = answered_ = 0;
  timer_->set(kPingMs);
  trouble_.recover("reconnected to Redis " + address_text(address_));
  observer_.connected();
}

void Connection::append(const std::vector<std::string_view> &words) {
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
  while (connected() && !out_.empty()) {
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
  else if (connected())
    watch_->want(true, !out_.empty());
}

void Connection::read() {
  char buffer[16384];
  for (int i = 0; i < kReads && connected(); ++i) {
    ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n <= 0) {
      std::string why = n == 0 ? "connection closed by Redis" : std::strerror(errno);
      lost(state_ == State::greeting ? why + ", while it was greeted: it may expect TLS" : why);
      return;
    }
    if (const char *why = guard_.feed({buffer, static_cast<std::size_t>(n)})) {
      lost(state_ == State::greeting ? std::string(why) + ": no Redis server, or one that expects TLS" : why);
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
  while (connected()) {
    void *raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
      lost("invalid reply");
      return;
    }
    if (raw == nullptr)
      return;
    std::unique_ptr<redisReply, void (*)(void *)> reply(static_cast<redisReply *>(raw), freeReplyObject);
    heard_ = true;  // only complete replies count, because single bytes could be sent forever
    if (state_ == State::greeting) {
      on_greeting_reply(*reply);
      continue;
    }
    ++answered_;
    if (reply->type == REDIS_REPLY_ERROR) {
      std::string why = error_text(*reply);
      auto quote = why.find('\'');
      observer_.on_refusal(quote == std::string::npos ? std::string_view()
                                                      : std::string_view(why).substr(
                                                            quote + 1, why.find('\'', quote + 1) - quote - 1),
                           why);
    } else {
      observer_.replied(*reply);
    }
  }
}

/// Without the password: a Redis server that does not support AUTH repeats its arguments in the error.
std::string Connection::error_text(const redisReply &reply) const {
  constexpr std::size_t kMost = 200;
  std::string_view said(reply.str, reply.len);
  std::string text = scrub(std::string(said.substr(0, said.find(", with args"))), address_.password);
  if (text.size() > kMost)
    text.replace(kMost, std::string::npos, "...");
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

void Connection::lost(const std::string &why) {
  bool before = state_ != State::ready;
  watch_.reset();
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
  out_.clear();
  state_ = State::waiting;
  trouble_.fail(std::string(before ? "cannot connect to" : "lost connection to") + " Redis " +
                address_text(address_) + ", retrying (polling PostgreSQL meanwhile): " + why);
  timer_->set(backoff_.next(random_.unit()));
  if (!before)
    observer_.on_loss();
}

void Connection::on_timer() {
  if (state_ == State::connecting) {
    lost("connect timeout");
  } else if (state_ == State::greeting) {
    lost("timeout waiting for a reply to " + std::string(greeting_.front()));
  } else if (state_ == State::waiting) {
    connect();
  } else if (!std::exchange(heard_, false)) {
    lost("timeout waiting for a reply");
  } else {
    backoff_.reset();  // reset only now, so that a server that answers and then fails is not tried ten times
                       // a second
    timer_->set(kPingMs);
    command({"PING"});
    observer_.on_ping();
  }
}

}  // namespace await::redis
