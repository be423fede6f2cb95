#pragma once

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "core/backoff.h"
#include "core/replication_stream.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/outage.h"
#include "io/random.h"
#include "pg/link.h"

namespace await::pg {

/// A non-blocking connection that follows the write-ahead log by logical decoding, with the output plugin
/// pgoutput. Reconnects with backoff.
///
/// Each connection has a replication slot of its own, a temporary one: the server drops it with the
/// connection, so no log is kept for a program that has gone. What was missed in between is the listener's
/// business. Everything is confirmed when it was received.
///
/// Connects to the server itself, not through a pooler, as a role with the attribute REPLICATION.
class Replication {
 public:
  struct Options {
    std::string conninfo;
    std::string publication;
    std::string slot;                 ///< the beginning of the name of the slot
    std::int64_t connect_ms = 3'000;  ///< for a host
    std::int64_t answer_ms = 10'000;  ///< without an answer of the server, the connection is given up
    std::int64_t slot_ms = 30'000;    ///< a new slot waits for transactions that run; then it is given up
    std::int64_t status_ms = 2'000;   ///< how often the server is told how far it was followed
  };
  class Listener {
   public:
    /// A stream begins: all transactions that begin from now on are in it. `timeline` is await.timeline() of
    /// the server.
    virtual void on_stream(const std::string &timeline) = 0;
    /// A message of the output plugin. Returns why the stream cannot be followed any further; empty: it can.
    virtual std::string on_message(std::string_view message) = 0;
    /// All transactions that committed before were in the stream.
    virtual void on_position(core::Lsn position) = 0;
    /// All messages that had arrived were handed over.
    virtual void on_pause() = 0;
    /// The stream has ended; another one may begin.
    virtual void on_end() = 0;

   protected:
    ~Listener() = default;
  };

  Replication(io::Loop &loop, io::Log &log, io::Random &random, Options options, Listener &listener);
  ~Replication();

  void start();
  /// Closes the connection. The listener is not called any more.
  void stop();
  /// Closes the connection, if there is one, and connects again after the backoff.
  void restart(const std::string &why);
  /// The same, and connects again after that time.
  void pause(const std::string &why, std::int64_t ms);
  /// Tells the server, some time, that what is before this position need not be kept.
  void confirm(core::Lsn position) { position_ = std::max(position_, position); }
  bool streaming() const { return state_ == State::streaming; }
  /// Why there is no stream; empty if there is one, or it was not started.
  const std::string &reason() const { return trouble_.reason(); }
  /// The name of the slot; empty if there is none.
  const std::string &slot() const { return slot_; }

 private:
  /// greeting: the question about the server is under way; creating: the slot; starting: the stream
  enum class State { idle, connecting, greeting, creating, starting, streaming, waiting };

  void connect();
  void connect_to_host();
  void give_up_host(const std::string &why);
  void poll_connect();
  void on_socket();
  void on_timer();
  void ask(State state, const std::string &command, std::int64_t patience_ms);
  void take_results();
  void take_result(const PGresult *result);
  void on_answer();
  void on_streaming();
  void read_stream();
  bool take_message(std::string_view message);
  void send_status(bool wants_reply);
  bool flush();
  void lost(const std::string &why);
  static std::string failure_text(const PGresult *result);

  class ReadTask : public io::Task {
   public:
    explicit ReadTask(Replication &owner) : owner_(owner) {}
    void run() noexcept override { owner_.read_stream(); }

   private:
    Replication &owner_;
  };

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  Options options_;
  Listener &listener_;
  State state_ = State::idle;
  io::Outage outage_;
  io::Outage::Part trouble_{outage_};
  core::Backoff backoff_{250, 5'000};
  Hosts hosts_;
  std::size_t host_ = 0;
  Reasons reasons_;
  std::string timeline_;
  std::string slot_;
  core::Lsn position_ = 0;
  std::int64_t heard_ms_ = 0;
  Link link_;
  std::unique_ptr<io::Timer> timer_;
  ReadTask read_task_{*this};
};

}  // namespace await::pg
