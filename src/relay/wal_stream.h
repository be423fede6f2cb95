#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pgoutput.h"
#include "core/ports.h"
#include "pg/connection.h"
#include "pg/replication.h"
#include "relay/recent_events.h"

namespace await::relay {

/// Keeps the recent events up to date: the write-ahead log says which there are, and they are read from the
/// tables by keys as soon as they are visible, all that came together in one statement.
class WalStream : private pg::Replication::Listener, private pg::Connection::Observer {
 public:
  struct Settings {
    std::string postgres;                       ///< conninfo; may be that of a pooler
    std::string replication;                    ///< conninfo of the server itself
    std::int64_t most_held = INT64_C(1) << 30;  ///< bytes of the log that the slot may keep
    RecentEvents::Limits limits;
  };
  class Listener {
   public:
    /// There are new events or marks, or whoever was attached has lost its place.
    virtual void on_recent_events() = 0;
    /// Of how many events that are read at a time, at most, the hints are wanted.
    virtual int most_hints() const = 0;

   protected:
    ~Listener() = default;
  };

  WalStream(io::Loop &loop, io::Log &log, io::Random &random, Settings settings, Listener &listener);

  void start();
  /// Everything is forgotten; no slot is left behind.
  void stop();
  RecentEvents &recent() { return recent_; }
  /// Somebody has attached.
  void on_attached() { step(); }

 private:
  static constexpr std::size_t kMostDue = 1000;       // of a statement
  static constexpr std::int64_t kMarkMs = 50;         // cursors move so soon after the last event,
  static constexpr std::int64_t kIdleMarkMs = 1'000;  // and so often without one
  static constexpr std::int64_t kMostUnseenMs = 50;   // between looks for what is not visible yet
  static constexpr std::int64_t kWatchMs = 5'000;
  static constexpr std::int64_t kPauseMs = 60'000;  // after the slot has kept too much
  struct Lookup {
    RecentEvents::Reading reading;
    std::size_t looked_for = 0;
  };

  void on_stream(const std::string &timeline) override;
  std::string on_message(std::string_view message) override;
  void on_position(core::Lsn position) override { recent_.on_position(position); }
  void on_pause() override;
  void on_end() override { forget(); }
  void connected(pg::Connection &connection) override;

  void step();
  void look_up();
  void forget();
  void watch_slot();
  void on_hello(Result<std::string> timeline);
  void on_transaction(Result<std::string> xid);
  void on_lookup(Result<Lookup> lookup);
  void on_held(Result<std::int64_t> bytes);
  static Result<Lookup> decode_lookup(const pg::Rows &rows, std::size_t);
  static Result<std::string> decode_text(const pg::Rows &rows, std::size_t);
  static Result<std::int64_t> decode_number(const pg::Rows &rows, std::size_t);

  io::Loop &loop_;
  Listener &listener_;
  Settings settings_;
  pg::Connection connection_;
  pg::Replication replication_;
  core::PgOutput output_;
  RecentEvents recent_;
  bool running_ = false;
  std::string timeline_;         // of the connection; empty: not known
  std::string stream_timeline_;  // of the stream
  std::vector<RecentEvents::Due> asked_;
  std::uint64_t asked_generation_ = 0;
  std::uint64_t start_generation_ = 0;
  std::int64_t unseen_ms_ = 1;
  core::Reply<std::string> hello_reply_ = core::Reply<std::string>::to<&WalStream::on_hello>(this);
  core::Reply<std::string> start_reply_ = core::Reply<std::string>::to<&WalStream::on_transaction>(this);
  core::Reply<Lookup> lookup_reply_ = core::Reply<Lookup>::to<&WalStream::on_lookup>(this);
  core::Reply<std::int64_t> held_reply_ = core::Reply<std::int64_t>::to<&WalStream::on_held>(this);
  std::unique_ptr<io::Timer> look_timer_;
  std::unique_ptr<io::Timer> watch_timer_;
};

}  // namespace await::relay
