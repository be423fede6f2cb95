#pragma once

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/list.h"
#include "base/result.h"
#include "core/backoff.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/random.h"
#include "pg/params.h"
#include "pg/rows.h"

namespace await::pg {

/// A statement and the handling of its result. Owned by the connection after send().
class Statement {
 public:
  Statement(const char *sql, Params params) : sql(sql), params(std::move(params)) {}
  virtual ~Statement() = default;
  /// Called exactly once, from the event loop, never from within send().
  virtual void finish(Result<Rows> outcome) = 0;
  const char *sql;  ///< a literal
  Params params;
  std::int64_t sent_at = 0;
};

/// A non-blocking connection to PostgreSQL in pipeline mode. Reconnects with backoff. Results arrive in the
/// order in which statements were sent. Every statement is a transaction of its own.
///
/// Errors of a statement: `unavailable` if it is sent while the connection is down, except during the first
/// moments of connecting, when it waits; `unavailable` also if the connection is lost while the statement is
/// in flight, which may then have been executed. A read-only server (a standby, or a demoted primary) counts
/// as down. The connection is closed if there is no answer within `Options::timeout_ms`.
///
/// The caller must have resolved the host names in `conninfo`, because name resolution by libpq blocks.
class Connection {
 public:
  struct Options {
    std::string conninfo;
    const char *role;  ///< for logs and application_name: "write", "read", "bulk"
    std::int64_t timeout_ms = 10'000;
    std::int64_t connect_ms = 3'000;
  };
  class Observer {
   public:
    virtual void connected(Connection &connection) = 0;
    /// A message of NOTIFY has arrived.
    virtual void notified(Connection &, std::string_view /*channel*/, std::string_view /*message*/) {}

   protected:
    ~Observer() = default;
  };

  Connection(io::Loop &loop, io::Log &log, io::Random &random, Options options, Observer *observer = nullptr);
  ~Connection();

  void start();
  /// Reconnects at once instead of waiting for the backoff, because PostgreSQL is known to be available.
  void nudge();
  void send(std::unique_ptr<Statement> statement);
  bool ready() const { return state_ == State::ready; }
  /// Closes the connection, if there is one, and reconnects.
  void drop(const std::string &why) {
    if (state_ == State::ready)
      lost(why);
  }
  /// The number of statements sent since the last call.
  std::int64_t take_count() { return std::exchange(count_, 0); }
  std::size_t in_flight() const { return sent_.size(); }
  /// The process id that the server announced for this session; 0 while disconnected.
  int backend() const { return pg_ ? PQbackendPID(pg_.get()) : 0; }

 private:
  enum class State { idle, connecting, entering, ready, waiting };

  void connect();
  void poll_connect();
  void watch_socket(bool readable, bool writable);
  void drop_watch();
  void on_socket();
  void pump();
  bool is_read_only() const;
  void take_results();
  bool take_result(PGresult *result);
  void take_notifications();
  void transmit(Statement &statement);
  void lost(const std::string &why);
  void fail_later(std::unique_ptr<Statement> statement, Code code, std::string why);
  void deliver_failures();
  void on_timer();
  std::string message() const;
  Error error_of(PGresult *result) const;

  class FailTask : public io::Task {
   public:
    explicit FailTask(Connection &connection) : connection_(connection) {}
    void run() noexcept override { connection_.deliver_failures(); }

   private:
    Connection &connection_;
  };
  struct Close {
    void operator()(PGconn *pg) const { PQfinish(pg); }
  };

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  Options options_;
  Observer *observer_;
  State state_ = State::idle;
  bool told_down_ = false;  // the failure has been logged
  std::int64_t count_ = 0;
  std::int64_t connect_began_ = 0;
  std::unique_ptr<PGconn, Close> pg_;
  std::unique_ptr<io::FdWatcher> watch_;
  int watched_fd_ = -1;
  std::unique_ptr<io::Timer> timer_;     // for the reconnect, or the connect timeout
  std::unique_ptr<io::Timer> deadline_;  // of the oldest statement in flight; delays quitting
  core::Backoff backoff_{100, 2'000};
  std::deque<std::unique_ptr<Statement>> queued_;  // until connected
  std::deque<std::unique_ptr<Statement>> sent_;
  std::unique_ptr<Rows> rows_;  // of the statement at the front of sent_
  std::unique_ptr<Error> failure_;
  struct Failed {
    std::unique_ptr<Statement> statement;
    Error error;
  };
  std::deque<Failed> failed_;
  FailTask fail_task_{*this};
};

}  // namespace await::pg
