#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/outage.h"
#include "relay/feed.h"
#include "relay/housekeeping.h"
#include "relay/kafka_source.h"
#include "relay/leader.h"
#include "relay/pg_cursors.h"
#include "relay/pg_leases.h"
#include "relay/service_notifier.h"
#include "relay/sinks.h"
#include "relay/table_source.h"
#include "relay/unserved.h"
#include "relay/wal_source.h"

namespace await::relay {

/// The program: connections, the lead, and a feed for each sink.
///
/// Three connections, so that what takes long delays nothing: "lead" for the lease and the cursors, "read"
/// for events, "bulk" for housekeeping and for sinks that catch up. The others must be to the same server as
/// the first, on the same timeline of it: a cursor that was read from a former primary means other
/// transactions to the new one.
class Relay : private pg::Connection::Observer, private Leader::Listener, private Feed::Owner {
 public:
  struct Settings {
    std::string conninfo;
    std::vector<SinkSpec> sinks;
    std::vector<SinkSpec> from;  ///< where jobs come from
    Filter filter;
    std::int64_t poll_ms = 10;
    bool follows_log = false;              ///< the source "wal"
    std::string log_conninfo;              ///< of the server itself, for that
    std::int64_t most_log_held = 1 << 30;  ///< bytes
    bool once = false;
    bool only_check = false;      ///< does not lead
    std::string relay = "relay";  ///< those of one name have one leader
    std::string holder;           ///< this process
  };

  /// @param bus  null: no Redis
  Relay(io::Loop &loop, io::Log &log, io::Random &random, redis::Bus *bus, Settings settings);
  ~Relay();

  /// Errors: invalid: a sink that cannot be made.
  Result<Done> make_sinks();
  Result<Done> make_intakes();
  void start();
  /// Delivers what was begun, for a bounded time, stores the cursors and gives up the lead.
  void drain();
  bool done() const { return phase_ == Phase::done; }
  /// With `once`, or if a sink cannot go on: whether everything was delivered.
  bool succeeded() const { return !failed_; }

  const std::vector<std::unique_ptr<Feed>> &feeds() const { return feeds_; }
  const std::vector<std::unique_ptr<KafkaSource>> &intakes() const { return intakes_; }
  /// Why PostgreSQL cannot be used; empty if it can, or is not known yet.
  const std::string &trouble() const {
    return schema_.failing() ? schema_.reason() : lead_.reason().empty() ? read_.reason() : lead_.reason();
  }
  /// What the source lacks, with the remedy; `Done`: nothing.
  void check_source(core::Reply<Done> &reply);
  /// Whether the relay that leads, if one does, has the sinks of this one.
  void check_lead(core::Reply<Done> &reply) { unserved_.check(reply); }
  /// Whether the connections are established and accepted.
  bool readable() const { return lead_.ready() && read_.ready(); }

 private:
  enum class Phase { running, draining, releasing, done };
  static constexpr std::int64_t kDrainMs = 10'000;
  static constexpr std::int64_t kReleaseMs = 2'000;
  static constexpr std::int64_t kOnceMs = 5'000;  // with `once`: to lead by then, or again

  struct Hello {
    std::string timeline;
    int schema_version = 0;
  };
  class Greeting;

  void connected(pg::Connection &connection) override;
  void on_notification(pg::Connection &connection, std::string_view channel,
                       std::string_view message) override;
  void on_hello(pg::Connection &connection, Result<Hello> hello);
  void on_recognized(const Result<Hello> &hello);
  void greet(pg::Connection &connection, const Hello &hello);
  void on_lead() override;
  void on_lost_lead() override;
  void open();
  void on_opened(Result<std::vector<StoredCursor>> cursors);
  void on_removed_cursor() override { open_timer_->set(0); }
  bool leads() const override { return leader_.leads(); }
  void on_refused() override { leader_.on_refused(); }
  std::optional<std::int64_t> live_rate(const Feed &feed) override;
  void on_feed() override { look_timer_->set(0); }
  bool has_webhooks() const;
  void look();
  bool all_idle() const;
  void lead_intakes(bool leads);
  void next_phase();

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  redis::Bus *bus_;
  Settings settings_;
  io::Outage schema_outage_;
  io::Outage::Part schema_{schema_outage_};
  pg::Connection lead_;
  pg::Connection read_;
  pg::Connection bulk_;
  pg::Connection submit_;      // used if there are intakes
  pg::Connection deliveries_;  // used if there are webhooks
  std::string timeline_;       // of the server that lead_ is connected to
  ServiceNotifier notifier_;
  PgLeases leases_;
  Leader leader_;
  Unserved unserved_;
  PgCursors cursors_;
  TableSource source_;
  std::unique_ptr<WalSource> log_source_;  // with the source "wal"
  Housekeeping housekeeping_;
  std::vector<std::unique_ptr<Sink>> sinks_;
  std::vector<std::unique_ptr<Feed>> feeds_;
  std::vector<std::unique_ptr<KafkaSource>> intakes_;
  core::Reply<std::vector<StoredCursor>> open_reply_ =
      core::Reply<std::vector<StoredCursor>>::to<&Relay::on_opened>(this);
  Phase phase_ = Phase::running;
  bool opened_ = false;  // the cursors have been read
  bool failed_ = false;
  bool recognizes_ = false;  // lead_ was asked for its server
  std::unique_ptr<io::Timer> open_timer_;
  std::unique_ptr<io::Timer> look_timer_;
  std::unique_ptr<io::Timer> phase_timer_;  // when this phase is over in any case
};

}  // namespace await::relay
