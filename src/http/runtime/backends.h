#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/conf/conf.h"
#include "http/runtime/counters.h"
#include "http/runtime/greeting_waiter.h"
#include "io/random.h"
#include "ngx/log.h"
#include "ngx/loop.h"
#include "pg/job_store.h"
#include "pg/payload_store.h"
#include "pg/queue_stats.h"
#include "redis/bus.h"

namespace await::http {

/// The connections of an nginx worker to PostgreSQL and Redis, and what PostgreSQL reports when a connection
/// is established (the greeting): its timeline, clock, schema version and retention.
///
/// There are three connections to PostgreSQL: to write, to read, and for bulk data, so that a slow upload
/// delays neither submissions nor reads. They must agree on the timeline of the database.
class Backends : private pg::Connection::Observer {
 public:
  /// All calls concern the connection that reads.
  class Observer {
   public:
    /// It was established; the greeting follows.
    virtual void on_reader_connected() = 0;
    /// The timeline has changed: there was a failover, and data that was read may not exist any more.
    virtual void on_history_changed() = 0;
    /// After on_history_changed(), if both are called.
    virtual void on_greeting(const pg::Hello &hello) = 0;

   protected:
    ~Observer() = default;
  };

  Backends(ngx::Loop &loop, ngx::Log &log, io::Random &random, const MainConf &conf, Observer &observer);

  /// Starts to connect. `listener` gets the hints of Redis.
  void start(core::Bus::Listener &listener);

  core::Store &store() { return store_; }
  core::Topics &topics() { return store_; }
  core::AccessStore &access_store() { return store_; }
  core::Payloads &payloads() { return payloads_; }
  core::Bus &bus() { return bus_; }

  /// Lets `waiter` wait for the greeting, as long as a statement would wait for its connection.
  void wait_for_greeting(GreetingWaiter &waiter);
  /// Asks for the greeting again, on the connection that reads.
  void request_greeting(core::Reply<pg::Hello> &reply) { store_.hello(read_, {}, reply); }
  /// Processes expired leases, due retries and deadlines in the database. Does nothing while disconnected.
  void tick();

  /// Whether read_queue_stats() can be called: while disconnected, and on an older schema, it would fail.
  bool has_queue_stats() const { return bulk_.ready() && !pg::schema_is_older(schema_version_); }
  void read_queue_stats(int most, core::Reply<std::vector<core::QueueStats>> &reply) {
    pg::read_queue_stats(bulk_, most, reply);
  }

  /// A digest of the timeline of the database; 0: not known yet. The reference stays valid, and its value
  /// changes with the timeline.
  const std::uint32_t &timeline() const { return timeline_; }
  /// Unix time in milliseconds by PostgreSQL's clock, after which partitions are named.
  std::int64_t database_ms() const { return loop_.unix_ms() + clock_offset_ms_; }
  /// A new id of this retention class.
  Uuid new_id(unsigned retention) { return Uuid::v7(database_ms(), retention, random_.ten()); }
  /// Whether a job of this id would be past its retention. Needs the id only.
  bool past_retention(const Uuid &id) const;

  /// What keeps this nginx worker from serving all requests.
  struct Readiness {
    struct Problem {
      const char *part;
      const char *state;
    };
    std::vector<Problem> problems;  ///< of PostgreSQL; empty: ready
    std::vector<Problem> degraded;  ///< of Redis: slower, but everything works
  };
  Readiness readiness() const;
  /// Brings the gauges and counters of the connections up to date.
  void sample(Counters &counters);

 private:
  /// A connection, and the timeline that it reported.
  struct Greeting {
    Greeting(Backends &owner, pg::Connection &connection) : owner(owner), connection(connection) {}
    void on_hello(Result<pg::Hello> hello) { owner.on_hello(*this, std::move(hello)); }
    Backends &owner;
    pg::Connection &connection;
    std::string timeline;  // empty: not reported yet
    core::Reply<pg::Hello> reply = core::Reply<pg::Hello>::to<&Greeting::on_hello>(this);
  };

  void connected(pg::Connection &connection) override;
  void on_hello(Greeting &greeting, Result<pg::Hello> hello);
  void on_reader_hello(const pg::Hello &hello);
  void on_first_greeting(const Result<pg::Hello> &);
  void log_schema_version(int version);
  void drop_older_timelines();

  ngx::Loop &loop_;
  ngx::Log &log_;
  io::Random &random_;
  Observer &observer_;
  pg::Connection write_;
  pg::Connection read_;
  pg::Connection bulk_;
  pg::JobStore store_;
  pg::PayloadStore payloads_;
  redis::Bus bus_;
  int redis_servers_;
  std::vector<pg::Lane> lanes_;
  Greeting greetings_[3] = {{*this, write_}, {*this, read_}, {*this, bulk_}};
  GreetingWaiters waiters_;
  core::Reply<pg::Hello> waited_for_ = core::Reply<pg::Hello>::to<&Backends::on_first_greeting>(this);
  int schema_version_ = -1;  // of the latest greeting
  std::int64_t clock_offset_ms_ = 0;
  std::uint32_t timeline_ = 0;
  std::vector<std::int64_t> keep_ms_;
  std::unique_ptr<io::Timer> purge_timer_;
};

}  // namespace await::http
