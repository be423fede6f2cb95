#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backoff.h"
#include "core/batch_intake.h"
#include "core/both_buses.h"
#include "http/conf/conf.h"
#include "http/runtime/counters.h"
#include "http/runtime/greeting_waiter.h"
#include "io/outage.h"
#include "io/random.h"
#include "ngx/log.h"
#include "ngx/loop.h"
#include "pg/batch_store.h"
#include "pg/console.h"
#include "pg/deliveries.h"
#include "pg/hello.h"
#include "pg/job_store.h"
#include "pg/maintenance.h"
#include "pg/notify_bus.h"
#include "pg/payload_store.h"
#include "pg/queue_stats.h"
#include "redis/bus.h"

namespace await::http {

/// The connections of an nginx worker to PostgreSQL and Redis, and what PostgreSQL reports when a connection
/// is established (the greeting): its timeline, clock, schema version and retention.
///
/// There are three connections to PostgreSQL: to write, to read, and for bulk data, so that a slow upload
/// delays neither submissions nor reads. A connection is used only after it was greeted, by a server on the
/// newest timeline that this node has seen. A greeting that is refused is asked for again until it is
/// answered.
class Backends : public core::IdSource, private pg::Connection::Observer {
 public:
  /// All calls concern the connection that reads.
  class Observer {
   public:
    /// It was established; the greeting follows.
    virtual void on_reader_connected() = 0;
    /// The timeline has changed: there was a failover, and data that was read may not exist any more.
    virtual void on_history_changed() = 0;
    /// The keys that the database signs with, before they are needed, and again with each greeting.
    virtual void on_keys(const pg::Hello &hello) = 0;
    /// Its greeting has come, and what it reads may be new. After on_history_changed(), if both are called.
    virtual void on_reader_greeting() = 0;

   protected:
    ~Observer() = default;
  };

  /// What keeps this nginx worker from serving all requests.
  struct Readiness {
    struct Problem {
      const char *part;    ///< "postgresql write", "redis" and so on
      const char *state;   ///< "not connected", "not greeted" and so on
      std::string reason;  ///< as in error.log, without passwords; not for everybody
    };
    std::vector<Problem> problems;  ///< of PostgreSQL; empty: ready
    std::vector<Problem> degraded;  ///< of hints: slower, but everything works
  };

  Backends(ngx::Loop &loop, ngx::Log &log, io::Random &random, const MainConf &conf, Counters &counters,
           Observer &observer);

  /// Starts to connect. `listener` gets the hints.
  void start(core::Bus::Listener &listener);

  core::Store &store() { return store_; }
  core::Topics &topics() { return store_; }
  core::AccessStore &access_store() { return store_; }
  core::Payloads &payloads() { return payloads_; }
  core::Batches &batches() { return batches_; }
  core::Bus &bus() { return all_buses_; }

  /// Lets `waiter` wait for the greeting, as long as a statement would wait for its connection.
  void wait_for_greeting(GreetingWaiter &waiter);
  /// Asks for the greeting again, on the connection that reads.
  /// The caller passes the answer to on_answer().
  /// @param background  whether no client waits for it
  void request_greeting(core::Reply<pg::Hello> &reply, bool background) {
    pg::request_hello(read_, {}, reply, background);
  }
  /// A server behind a pooler may have changed without a new connection.
  void on_answer(const Result<pg::Hello> &hello);
  /// Processes expired leases, due retries and deadlines in the database, unless another nginx worker of this
  /// node has in this second. Does nothing while disconnected.
  void run_maintenance();

  /// Whether read_queue_stats() can be called: while disconnected, and on an older schema, it would fail.
  bool has_queue_stats() const { return bulk_.ready() && !pg::schema_is_older(schema_version_); }
  void read_queue_stats(int most, core::Reply<std::vector<core::QueueStats>> &reply) {
    pg::read_queue_stats(bulk_, most, reply);
  }
  void read_relay_stats(int most, core::Reply<std::vector<core::RelayStats>> &reply) {
    pg::read_relay_stats(bulk_, most, reply);
  }
  void read_delivery_stats(core::Reply<core::DeliveryStats> &reply) { pg::read_delivery_stats(bulk_, reply); }

  void list_deliveries(const core::DeliveryQuery &query, core::Reply<core::DeliveryPage> &reply) {
    pg::list_deliveries(bulk_, query, reply);
  }
  void retry_delivery(std::int64_t id, const std::optional<std::string> &owner,
                      core::Reply<core::Resent> &reply) {
    pg::retry_delivery(bulk_, id, owner, reply);
  }

  /// Whether read_console() can be called: while disconnected, and on an older schema, it would fail.
  bool has_console() const { return has_queue_stats(); }
  void read_console(core::ConsoleRead what, const std::string &arguments,
                    core::Reply<core::ConsoleDocument> &reply) {
    pg::read_console(bulk_, what, arguments, reply);
  }
  /// Tells of this node, and gets the jobs that consoles ask about.
  void report_node(const Uuid &id, const std::string &name, const std::string &report,
                   core::Reply<std::vector<Uuid>> &reply) {
    pg::report_node(bulk_, id, name, report, reply);
  }
  void act_for_console(const std::string &action, core::Reply<core::ConsoleActed> &reply) {
    pg::act_for_console(bulk_, action, reply);
  }

  /// A digest of the timeline of the database; 0: not known yet. The reference stays valid, and its value
  /// changes with the timeline.
  const std::uint32_t &timeline() const { return timeline_; }
  /// Unix time in milliseconds by PostgreSQL's clock, after which partitions are named.
  /// The clock of this node may be wrong, and may be set.
  std::int64_t database_ms() const {
    return greeted_ms_ < 0 ? loop_.unix_ms() : database_ms_ + loop_.monotonic_ms() - greeted_ms_;
  }
  /// A new id of this retention class.
  Uuid new_id(unsigned retention) { return new_id(retention, 0); }
  Uuid new_id(unsigned retention, std::int64_t least_ms) override {
    return Uuid::v7(std::max(database_ms(), least_ms), retention, random_.ten());
  }
  /// Whether a job of this id is no longer kept, whenever it ended. Needs the id only.
  bool past_retention(const Uuid &id) const;

  Readiness readiness() const;
  /// Brings the gauges and counters of the connections up to date.
  void sample(Counters &counters);

 private:
  /// A connection, and the timeline that it reported.
  struct Greeting {
    Greeting(Backends &owner, pg::Connection &connection, const char *part);
    void on_hello(const Result<pg::Hello> &hello) { owner.on_hello(*this, hello); }
    Backends &owner;
    pg::Connection &connection;
    const char *part;
    std::string timeline;  // empty: not reported yet
    io::Outage::Part refusal;
    core::Backoff backoff{200, 5'000};
    std::unique_ptr<io::Timer> retry;
    core::Reply<pg::Hello> reply = core::Reply<pg::Hello>::to<&Greeting::on_hello>(this);
  };

  void connected(pg::Connection &connection) override;
  void on_notification(pg::Connection &, std::string_view channel, std::string_view message) override {
    notify_bus_.on_notification(channel, message);
  }
  void ask(Greeting &greeting);
  void on_hello(Greeting &greeting, const Result<pg::Hello> &hello);
  void on_refusal(Greeting &greeting, const Error &error);
  void learn(const pg::Hello &hello);
  void on_reader_hello(const pg::Hello &hello, bool is_news);
  void on_first_greeting(const Result<pg::Hello> &hello);
  void log_schema_version(int version);
  void compare_timelines(const std::string &newest);

  ngx::Loop &loop_;
  ngx::Log &log_;
  io::Random &random_;
  Counters &counters_;
  Observer &observer_;
  io::Outage refusals_;
  pg::Connection write_;
  pg::Connection read_;
  pg::Connection bulk_;
  pg::Maintenance maintenance_{bulk_};
  pg::JobStore store_;
  pg::PayloadStore payloads_;
  pg::BatchStore batches_;
  redis::Bus bus_;
  pg::NotifyBus notify_bus_;  // on the connection that reads
  core::BothBuses all_buses_{bus_, notify_bus_};
  std::vector<pg::Lane> lanes_;
  Greeting greetings_[3] = {{*this, write_, "postgresql write"},
                            {*this, read_, "postgresql read"},
                            {*this, bulk_, "postgresql bulk"}};
  GreetingWaiters waiters_;
  core::Reply<pg::Hello> waited_for_ = core::Reply<pg::Hello>::to<&Backends::on_first_greeting>(this);
  int schema_version_ = -1;  // of the latest greeting
  std::int64_t database_ms_ = 0;
  std::int64_t greeted_ms_ = -1;  // monotonic, when it was database_ms_
  std::uint32_t timeline_ = 0;
  std::vector<std::int64_t> keep_ms_;
  std::unique_ptr<io::Timer> purge_timer_;
};

}  // namespace await::http
