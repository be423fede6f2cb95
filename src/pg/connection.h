#pragma once

#include <libpq-fe.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/list.h"
#include "base/result.h"
#include "core/backoff.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "pg/link.h"
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
  bool greets = false;  ///< may be sent before the connection is accepted
  bool bare = false;    ///< is sent without the settings before it, because it looks at those of the session
  /// Is parsed once a session, if no pooler stands between. After an error like that of a result type that a
  /// migration has changed, it is parsed each time.
  bool prepared = false;
  /// No client waits for it: it does not delay quitting, and is not counted.
  bool background = false;
  /// After which the server cancels it, if that is sooner than Options::timeout_ms; 0: no sooner. What is
  /// sent behind it waits no longer for it.
  std::int64_t limit_ms = 0;
  std::int64_t sent_at = 0;
};

/// A non-blocking connection to PostgreSQL in pipeline mode. Reconnects with backoff. Results arrive in the
/// order in which statements were sent. Every statement is a transaction of its own, at READ COMMITTED, and
/// the server cancels it after `Options::timeout_ms`, whatever the defaults of the role and the database are.
///
/// Hosts are tried one after the other, each for a share of time: `connect_timeout`, or Options::connect_ms.
/// The one that worked last comes first. A read-only server (a standby, or a demoted primary) counts as down.
///
/// Errors of a statement: `unavailable` if it is sent while the connection is down, or if it has waited
/// Options::patience_ms for a connection that is being established; `unavailable` also if the connection is
/// lost while the statement is in flight, which may then have been executed, and if the server gave up the
/// statement for a reason that passes, which has changed nothing. The connection is closed if there is no
/// answer within `Options::timeout_ms`; the statement is then ended on the server, too (docs/adr/0007).
///
/// For nginx, the names in `conninfo` must have been resolved, because name resolution blocks.
class Connection {
 public:
  struct Options {
    std::string conninfo;
    const char *role;  ///< for logs and application_name: "write", "read", "bulk"
    std::int64_t timeout_ms = 10'000;
    std::int64_t connect_ms = 3'000;   ///< for a host, if it is the only one
    std::int64_t share_ms = 2'000;     ///< for a host, if there are several
    std::int64_t patience_ms = 3'000;  ///< of a statement that waits for a connection
  };
  /// Decides whether a connection may be used. Without an observer every connection may.
  class Observer {
   public:
    /// The connection is established. Until accept() is called, it transmits only statements with `greets`.
    virtual void connected(Connection &connection) = 0;
    /// A message of NOTIFY has arrived.
    virtual void on_notification(Connection &, std::string_view /*channel*/, std::string_view /*message*/) {}

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
  bool established() const { return state_ == State::greeting || state_ == State::ready; }
  /// Why there is no connection; empty if there is one.
  const std::string &reason() const { return trouble_.reason(); }
  /// Whether the connection was lost, or could not be established.
  bool failing() const { return trouble_.failing(); }
  /// The server is the right one: all statements may be sent. Does nothing if it was accepted before.
  void accept();
  /// Closes the connection, if there is one, and tries the other hosts before this one.
  void reject(const std::string &why);
  /// The number of statements sent since the last call.
  std::int64_t take_count() { return std::exchange(count_, 0); }
  std::size_t in_flight() const { return sent_.size(); }
  /// Whether the session is the server's own, so that it is the same one for every statement: no pooler
  /// stands between. It is known to whoever gets a result of this session.
  bool is_direct() const { return direct_; }

 private:
  /// greeting: established, but not accepted; waiting: for the next attempt
  enum class State { idle, connecting, greeting, ready, waiting };

  void connect();
  void connect_to_host();
  void give_up_host(const std::string &why);
  std::int64_t share_ms() const;
  void poll_connect();
  void on_established();
  void watch_socket(bool readable, bool writable);
  void on_socket();
  void pump();
  void take_results();
  bool take_result(PGresult *result);
  void take_notifications();
  void transmit(Statement &statement);
  bool transmit_sql(const Statement &statement);
  const char *prepare(const Statement &statement);
  void send_queued();
  void expire_queued();
  void update_hold();
  void prove();
  void on_deadline();
  void check_settings();
  void transmit_next();
  void end_abandoned();
  void lost(const std::string &why);
  void wait_to_connect(const std::string &line, const std::string &why);
  void fail_later(std::unique_ptr<Statement> statement, Code code, std::string why);
  void deliver_failures();
  void on_timer();
  static void on_notice(void *self, const PGresult *result) noexcept;
  void on_unreplicated_commit(const std::string &why);

  class FailTask : public io::Task {
   public:
    explicit FailTask(Connection &connection) : connection_(connection) {}
    void run() noexcept override { connection_.deliver_failures(); }

   private:
    Connection &connection_;
  };

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  Options options_;
  Observer *observer_;
  const std::string limits_;  // SQL, sent before each statement unless the session has these settings
  bool direct_ = false;
  bool has_settings_ = false;
  State state_ = State::idle;
  io::Outage outage_;
  io::Outage::Part trouble_{outage_};
  io::Outage statement_outage_;  // statements that fail because of an error in the schema, or a missing right
  io::Outage::Part failed_statement_{statement_outage_};
  bool proven_ = false;  // a statement was answered, or the observer has accepted the connection
  std::int64_t count_ = 0;
  std::map<const char *, std::string> prepared_;  // of this session: SQL and its name; no name: not any more

  Hosts hosts_;                // of this round of attempts
  std::size_t host_ = 0;       // the one that is tried or used
  std::optional<Host> first_;  // the one that worked last
  std::optional<Host> last_;   // the one that was rejected
  Reasons reasons_;            // of the hosts that failed in this round
  struct Abandoned {
    int backend;      // its process id
    const char *sql;  // what it was executing
  };
  std::optional<Abandoned> abandoned_;  // a backend without an answer, to be ended
  bool plain_ = false;                  // this host has refused the startup options in this round

  Link link_;
  std::unique_ptr<io::Timer> timer_;     // for the reconnect, or the share of a host
  std::unique_ptr<io::Timer> deadline_;  // of the oldest statement in flight
  std::unique_ptr<io::Timer> hold_;      // delays quitting while a client waits for one in flight
  std::unique_ptr<io::Timer> patience_;  // of the oldest statement in queued_
  core::Backoff backoff_{100, 2'000};
  std::deque<std::unique_ptr<Statement>> queued_;  // until accepted
  std::deque<std::unique_ptr<Statement>> sent_;
  std::size_t awaited_ = 0;      // of those in flight, the ones that a client waits for
  std::size_t transmitted_ = 0;  // of these, from the front on; the others wait for their turn
  std::unique_ptr<Rows> rows_;   // of the statement at the front of sent_
  std::unique_ptr<Error> failure_;
  bool fatal_ = false;  // failure_ ends the connection
  struct Failed {
    std::unique_ptr<Statement> statement;
    Error error;
  };
  std::deque<Failed> failed_;
  FailTask fail_task_{*this};
};

}  // namespace await::pg
