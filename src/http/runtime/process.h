#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hub.h"
#include "core/kind.h"
#include "core/read_batcher.h"
#include "core/reread.h"
#include "core/retry_queue.h"
#include "core/revocations.h"
#include "core/submit_batcher.h"
#include "core/subscription.h"
#include "core/ticket_batcher.h"
#include "core/timer_wheel.h"
#include "core/watcher.h"
#include "http/conf/conf.h"
#include "http/runtime/counters.h"
#include "http/runtime/hints.h"
#include "http/runtime/zone_cache.h"
#include "io/random.h"
#include "ngx/held.h"
#include "ngx/log.h"
#include "ngx/loop.h"
#include "pg/job_store.h"
#include "pg/payload_store.h"
#include "redis/bus.h"

namespace await::http {

/// Everything that lives as long as an nginx worker: connections, hub, intake. The one place that knows
/// every layer. Made only where a location uses us.
class Process : private core::Scheduler, private pg::Connection::Observer {
 public:
  Process(ngx_cycle_t *cycle, const MainConf &location_conf);
  ~Process();

  core::Hub &hub() { return hub_; }
  core::SubmitBatcher &intake() { return intake_; }
  core::ReadServices<core::JobRead> &jobs() { return job_desk_; }
  /// For the history of this id: those of users are longer to read, and not with the others.
  core::SubscriptionServices &events(const Uuid &id) {
    return core::kind_of(id) == core::Kind::user ? user_desk_ : event_desk_;
  }
  core::Store &store() { return store_; }
  core::Topics &topics() { return store_; }
  core::TicketBatcher &turnstile() { return turnstile_; }
  /// What tickets and cursors are signed with: the first; the others were before, and count. None until the
  /// database has said it: introduce() waits for that.
  std::span<const std::string> keys() const { return keys_; }
  /// What is signed with now; empty: not known yet.
  std::string_view secret() const { return keys_.empty() ? std::string_view() : keys_.front(); }
  /// Something was signed with a key that is not among them: asks the database for its keys, once a
  /// second at most.
  void look_for_keys();
  /// What remembers ended jobs in this zone; null for null.
  core::EndedJobCache *memory(ngx_shm_zone_t *zone);
  core::Payloads &payloads() { return payloads_; }
  core::Bus &bus() { return bus_; }
  /// A wheel of whole seconds, for heartbeats.
  core::TimerWheel &wheel() { return wheel_; }
  /// The wheel's ticks until a heartbeat, or the moment when something expires (0: never), if that is sooner.
  std::size_t ticks_to(ngx_msec_t ping_ms, std::int64_t expires_ms) const;
  /// `spoke` is due in `ms`, give or take a tenth of a second, never before; at most 200 s.
  void due_in(core::TimerEntry &spoke, std::int64_t ms);
  /// A heartbeat as a stream's clients get it.
  const Bytes &beat(bool visible, bool chunked) const {
    return beats_[(visible ? 1 : 0) + (chunked ? 2 : 0)];
  }
  const Bytes &last_chunk() const { return last_chunk_; }
  io::Random &random() { return random_; }
  Counters &counters() { return counters_; }
  /// Brings this nginx worker's gauges up to date.
  void measure();

  /// now_ms() at that Unix time, for what expires; 0 for 0.
  std::int64_t ms_at(std::int64_t unix_s) const {
    return unix_s == 0 ? 0 : now_ms() + unix_s * 1000 - loop_.unix_ms();
  }
  std::int64_t now_ms() const { return loop_.monotonic_ms(); }
  /// By PostgreSQL's clock, which names the partitions.
  std::int64_t database_ms() const { return loop_.unix_ms() + clock_offset_ms_; }
  Uuid new_id(unsigned retention) { return Uuid::v7(database_ms(), retention, random_.ten()); }
  /// Whether a job of this id would be past its retention: known from the id alone.
  bool past_retention(const Uuid &id) const;
  std::uint32_t timeline() const { return timeline_; }

  /// Who came before the database had said what it is: in the first moments of an nginx worker. Destroying it
  /// gives the wait up.
  struct Guest : Hook<Guest> {
    explicit Guest(core::Callback<Done> met) : met(met) {}
    core::Callback<Done> met;  ///< may destroy this; where secret() is empty the database is away
  };
  /// Lets it wait as long as a statement would for its connection.
  void introduce(Guest &guest);
  /// As look_for_keys(), ten times a second at most, and lets it wait for the answer to a question that is
  /// asked after this call; whether there was one: keys_are_fresh().
  void look_for_keys(Guest &guest);
  /// Whether the last question of look_for_keys() was answered.
  bool keys_are_fresh() const { return keys_are_fresh_; }

  /// `flush` is called once, at the end of this event-loop round.
  struct Flush : Hook<Flush> {
    virtual void flush() noexcept = 0;

   protected:
    ~Flush() = default;
  };
  void flush_soon(Flush &flush);
  /// A WebSocket ping, as clients get it.
  const Bytes &socket_ping() const { return socket_ping_; }
  const Bytes &socket_beat() const { return socket_beat_; }

  /// Somebody's jobs have changed, by this nginx worker's doing: tells all nodes at the end of the round.
  void tell_user(const std::string &owner) {
    owners_.insert(owner);
    run_soon();
  }

  /// Every request of ours, to be told when nginx shuts down, or when its owner is revoked.
  void register_held(ngx::Held &held);
  const core::Revocations &revocations() const { return revocations_; }
  /// There may be news of await.revoke().
  void look_for_revoked() { revocations_.look(); }
  bool draining() const { return draining_; }

 private:
  static constexpr std::int64_t kTickMs = 1000;
  static constexpr std::int64_t kPurgeMs = std::int64_t{3600} * 1000;
  static constexpr std::int64_t kDrainTickMs = 100;
  static constexpr std::size_t kDrainAtLeast = 50;  // a tick
  static constexpr std::int64_t kDeadlineTickMs = 100;
  static constexpr std::int64_t kKeysMs = 100;  // between two questions for keys, if somebody waits for them
  static constexpr std::int64_t kKeysIdleMs = 1000;  // and else

  class RunTask : public io::Task {
   public:
    explicit RunTask(Process &process) : process_(process) {}
    void run() noexcept override { process_.run(); }

   private:
    Process &process_;
  };

  /// What a connection to PostgreSQL has said of its server.
  struct Greeting {
    Greeting(Process &process, pg::Connection &connection) : owner(process), connection(connection) {}
    void said(Result<pg::Hello> hello) { owner.said_hello(*this, std::move(hello)); }
    Process &owner;
    pg::Connection &connection;
    std::string timeline;  // empty: not yet
    core::Reply<pg::Hello> reply = core::Reply<pg::Hello>::to<&Greeting::said>(this);
  };

  void run_soon() override;
  void run_after(std::int64_t ms) override;
  void run();
  void connected(pg::Connection &connection) override;
  void said_hello(Greeting &greeting, Result<pg::Hello> hello);
  void introduced(Result<pg::Hello>);
  void learn(const pg::Hello &hello);
  void ask_for_keys();
  void ask_for_keys_at(std::int64_t due_ms);
  void said_keys(Result<pg::Hello> hello);
  void agree();
  void reread();
  void end_all_of(const std::string &owner);
  void drain();
  void drain_some();
  void watch_shutdown();

  Counters counters_;
  ngx::Loop loop_;
  ngx::Log log_;
  io::Random random_;
  pg::Connection write_;
  pg::Connection read_;
  pg::Connection bulk_;
  pg::JobStore store_;
  pg::PayloadStore payloads_;
  redis::Bus bus_;
  core::Hub hub_;
  Hints hints_{hub_, *this};
  std::map<ngx_shm_zone_t *, Cache> caches_;
  core::SubmitBatcher intake_;
  core::RetryQueue retries_;
  core::ReadBatcher<core::JobRead> jobs_;
  core::ReadBatcher<core::EventRead> events_;
  core::ReadBatcher<core::EventRead> user_events_;
  core::ReadServices<core::JobRead> job_desk_{hub_, retries_, jobs_};
  core::SubscriptionServices event_desk_{{hub_, retries_, events_}, timeline_, cursor_keys_};
  core::SubscriptionServices user_desk_{{hub_, retries_, user_events_}, timeline_, cursor_keys_};
  core::Reread reread_;
  core::TicketBatcher turnstile_{store_, *this};
  core::Revocations revocations_{store_, core::Callback<const std::string &>::to<&Process::end_all_of>(this)};
  core::CursorKeys cursor_keys_;  // made of keys_, the one that signs first
  std::string elder_key_;         // signs cursors until all nodes have heard of the new one
  std::int64_t elder_until_ms_ = 0;
  std::vector<std::string> keys_;
  int schema_version_ = -1;  // of the newest greeting
  bool keys_are_fresh_ = false;
  std::int64_t keys_asked_ms_ = 0;
  std::int64_t keys_due_ms_ = 0;  // while the timer runs
  List<Guest, Guest> seekers_;    // who wait for the next question for keys to be asked
  List<Guest, Guest> asking_;     // and for the one that was asked to be answered
  core::Reply<pg::Hello> keys_reply_ = core::Reply<pg::Hello>::to<&Process::said_keys>(this);
  List<Guest, Guest> guests_;
  core::Reply<pg::Hello> introduction_ = core::Reply<pg::Hello>::to<&Process::introduced>(this);
  core::TimerWheel wheel_{128};
  core::TimerWheel deadlines_{2048};  // tenths of a second
  std::int64_t deadlines_until_ms_ = 0;
  Bytes beats_[4];
  Bytes last_chunk_;
  Bytes socket_ping_;
  Bytes socket_beat_;
  List<Flush, Flush> flushes_;
  std::set<std::string> owners_;  // who are to be told of
  RunTask run_task_{*this};
  Greeting greetings_[3] = {{*this, write_}, {*this, read_}, {*this, bulk_}};
  std::vector<pg::Lane> lanes_;
  std::int64_t reread_ms_;
  std::int64_t clock_offset_ms_ = 0;
  std::uint32_t timeline_ = 0;
  std::vector<std::int64_t> keep_ms_;
  bool draining_ = false;
  std::int64_t drain_ms_;
  std::int64_t drain_began_ms_ = 0;
  std::size_t drain_step_ = 0;         // so many a tick
  List<ngx::Held, ngx::IsHeld> held_;  // all of ours; when draining, those not told yet
  List<ngx::Held, ngx::IsHeld> told_;  // to be gone soon
  std::int64_t retry_due_ms_ = 0;
  std::unique_ptr<io::Timer> drain_timer_;
  std::unique_ptr<io::Timer> retry_timer_;
  std::unique_ptr<io::Timer> reread_timer_;
  std::unique_ptr<io::Timer> tick_timer_;
  std::unique_ptr<io::Timer> deadline_timer_;
  std::unique_ptr<io::Timer> keys_timer_;
  std::unique_ptr<io::Timer> purge_timer_;
  ngx_connection_t *shutdown_ = nullptr;  // nginx closes it to say that it quits
  int shutdown_fd_ = -1;
};

/// The process object of this nginx worker; null in one that has none.
Process *process();
ngx_int_t start_process(ngx_cycle_t *cycle);
void end_process(ngx_cycle_t *cycle);

}  // namespace await::http
