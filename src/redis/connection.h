#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/retry.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/random.h"
#include "redis/reply_guard.h"

struct redisReader;
struct redisReply;

namespace await::redis {

/// Where a Redis is: redis://[[user]:password@]address[:port][/database] or unix:/path/to/socket.
struct Address {
  std::string host;  ///< a numeric address; names are resolved by whoever reads the configuration
  int port = 6379;
  std::string path;  ///< of a Unix socket, instead of host and port
  std::string user;
  std::string password;
  int database = 0;
};
/// Errors: invalid, saying what is wrong with `url`.
Result<Address> parse_url(std::string_view url);

/// One non-blocking connection: commands out, replies in, reconnect with back-off. The sockets are
/// ours, only the protocol is hiredis', and ReplyGuard stands before it: one that sends what Redis would not
/// is lost, and costs no more than its bytes. What is sent while it is down is dropped: hints are lossy. One
/// that says nothing for two pings is lost: a network that dies silently would leave us deaf.
class Connection {
 public:
  class Observer {
   public:
    virtual void connected() = 0;
    virtual void replied(const redisReply &reply) = 0;

   protected:
    ~Observer() = default;
  };

  Connection(io::Loop &loop, io::Log &log, io::Random &random, Address address, Observer &observer);
  ~Connection();

  void start();
  bool ready() const { return state_ == State::ready; }
  /// Queues a command; all of an event-loop round go out in one write. Dropped unless ready.
  void command(const std::vector<std::string_view> &words);

 private:
  enum class State { idle, connecting, ready, waiting };
  static constexpr std::size_t kMaxQueued = std::size_t{8} << 20;  // a Redis that does not read loses us
  static constexpr std::int64_t kPingMs = 5'000;

  void connect();
  void on_socket();
  void on_connected();
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
  io::Log &log_;
  io::Random &random_;
  Address address_;
  Observer &observer_;
  State state_ = State::idle;
  bool told_down_ = false;
  int fd_ = -1;
  std::unique_ptr<io::Watch> watch_;
  std::unique_ptr<io::Timer> timer_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  ReplyGuard guard_;
  core::Backoff backoff_{100, 2'000};  // begins anew once a connection has stood for a ping's time
  bool heard_ = false;                 // something since the last ping
  int greeting_ = 0;                   // replies to AUTH and SELECT still to come
  std::string out_;
  FlushTask flush_task_{*this};
};

}  // namespace await::redis
