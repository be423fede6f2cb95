#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/backoff.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "redis/reply_guard.h"

struct redisReader;
struct redisReply;

namespace await::redis {

/// The address of a Redis server: redis://[[user]:password@]address[:port][/database] or
/// unix:/path/to/socket.
struct Address {
  std::string host;  ///< a numeric address; names are resolved when the configuration is read
  int port = 6379;
  std::string path;  ///< path of a Unix socket, instead of host and port
  std::string user;
  std::string password;
  int database = 0;
};
/// Errors: `invalid`, with the reason.
Result<Address> parse_url(std::string_view url);

/// For messages: 127.0.0.1:6379, or the path of the socket.
std::string address_text(const Address &address);

/// A non-blocking connection to Redis. Reconnects with backoff. hiredis is used to parse replies only, after
/// ReplyGuard has checked them: the connection is closed if the server sends something that Redis would not
/// send. Commands that are sent while the connection is down are dropped, because hints may be lost. The
/// connection is also closed if nothing is received for two ping intervals, to detect a network that fails
/// silently.
///
/// A connection is ready when Redis has answered PING, after AUTH and SELECT: servers accept connections that
/// they refuse to serve.
class Connection {
 public:
  class Observer {
   public:
    virtual void connected() = 0;
    virtual void replied(const redisReply &reply) = 0;
    /// Redis has answered a command with an error; the connection stays. The text is safe to log.
    /// @param command  in lower case, if the error names it: "ping"
    virtual void on_refusal(std::string_view command, const std::string &error) = 0;
    /// A ping interval has passed since connected() or the last call, and PING is sent.
    virtual void on_ping() = 0;
    /// A connection that was ready is lost.
    virtual void on_loss() {}

   protected:
    ~Observer() = default;
  };

  /// @param outage  of the server; several connections share it
  Connection(io::Loop &loop, io::Random &random, io::Outage &outage, Address address, Observer &observer);
  ~Connection();

  void start();
  bool ready() const { return state_ == State::ready; }
  /// Why there is no connection; empty if there is one.
  const std::string &reason() const { return trouble_.reason(); }
  /// The next time, connects to this numeric address.
  void move(const std::string &host) { address_.host = host; }
  /// Queues a command. All commands of an event loop iteration are sent in one write. Dropped unless ready().
  void command(const std::vector<std::string_view> &words) {
    if (state_ != State::ready)
      return;
    ++sent_;
    append(words);
  }
  /// Commands since the connection is ready, and how many of these, from the first on, were answered.
  std::uint64_t sent() const { return sent_; }
  std::uint64_t answered() const { return answered_; }

 private:
  enum class State { idle, connecting, greeting, ready, waiting };
  static constexpr std::size_t kMaxQueued = std::size_t{8} << 20;  // then the server does not read: reconnect
  static constexpr std::int64_t kPingMs = 5'000;

  void connect();
  void on_socket();
  void greet();
  void on_greeting_reply(const redisReply &reply);
  void on_ready();
  bool connected() const { return state_ == State::greeting || state_ == State::ready; }
  void append(const std::vector<std::string_view> &words);
  std::string error_text(const redisReply &reply) const;
  void read();
  void parse();
  void flush();
  void lost(const std::string &why);
  void on_timer();

  class FlushTask : public io::Task {
   public:
    explicit FlushTask(Connection &connection) : connection_(connection) {}
    void run() noexcept override { connection_.flush(); }

   private:
    Connection &connection_;
  };
  struct FreeReader {
    void operator()(redisReader *reader) const;
  };

  io::Loop &loop_;
  io::Random &random_;
  Address address_;
  Observer &observer_;
  State state_ = State::idle;
  io::Outage::Part trouble_;
  int fd_ = -1;
  std::unique_ptr<io::FdWatcher> watch_;
  std::unique_ptr<io::Timer> timer_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  ReplyGuard guard_;
  core::Backoff backoff_{100, 2'000};  // reset when a connection has lasted for a ping interval
  bool heard_ = false;                 // a reply was received since the last ping
  std::deque<const char *> greeting_;  // commands of the greeting without a reply yet
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::string out_;
  FlushTask flush_task_{*this};
};

}  // namespace await::redis
