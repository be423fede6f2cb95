#pragma once

#include <cstdint>
#include <string_view>

#include "core/latency.h"
#include "ngx/nginx.h"

namespace await::http {

/// The state of one nginx worker. Every limit has a gauge.
enum class Gauge : std::uint8_t {
  held,
  parked,
  sockets,
  streams,
  polls,
  consoles,
  watched,
  submissions,
  reads,
  buffered,
  uploads,
  postgres,
  greeted,
  redis,
  subscribed,
  listening,
  draining,
  reread_lag,  ///< milliseconds; await_metrics tells the highest of all workers
  count
};
/// Numbers of events since nginx was started.
enum class Counter {
  submitted,
  replayed,
  published,
  tickets,
  revoked,
  refused_submissions,
  refused_reads,
  refused_held,
  refused_uploads,
  paused,
  cut,
  resets,
  statements,
  cache_hits,
  cache_misses,
  batch_hits,
  batch_misses,
  count
};

/// What is timed: a submission, from its first byte to the answer; and an event or an ending that a client
/// was waiting for, from when it happened to when it is written.
enum class Timed : std::uint8_t { submit, deliver, count };

/// The gauges and counters of all nginx workers, in shared memory. Each worker writes a slot of its own, so
/// there are no locks. Counters outlive the worker that counted, gauges do not. Also the timelines of the
/// database, which all nginx workers must agree on, and what one of them does for all.
class Counters {
 public:
  /// The counters of this nginx worker; null if it has none.
  static Counters *of_worker();

  /// @param zone  what reserve() returned for the configuration that this nginx worker runs
  explicit Counters(ngx_shm_zone_t *zone);
  ~Counters();
  Counters(const Counters &) = delete;
  Counters &operator=(const Counters &) = delete;

  std::int64_t of(Gauge gauge) const;
  void add(Gauge gauge, std::int64_t delta);
  void set(Gauge gauge, std::int64_t value);
  void count(Counter counter, std::int64_t n = 1);
  void time(Timed what, std::int64_t ms);

  /// core::Timelines::accept() for all nginx workers, also for those that a reload starts.
  bool accept_timeline(std::string_view name);

  /// True once for each second, for one of all nginx workers: the first that asks.
  /// @param second  of a clock that they share
  bool take_second(std::int64_t second);

  /// Whether nginx was reloaded since this nginx worker was started: others run in its place.
  bool is_reloaded() const;
  /// The sum over all nginx workers that are running.
  std::int64_t sum(Gauge gauge) const;
  std::int64_t sum(Counter counter) const;
  core::Latency sum(Timed what) const;
  /// The highest value of all nginx workers that are running.
  std::int64_t highest(Gauge gauge) const;
  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

 private:
  struct Slot;
  struct Table;
  static bool is_alive(const Slot &slot);
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);
  ngx_slab_pool_t &pool_;
  Table &table_;
  Slot &slot_;
  std::int64_t configuration_;  // the number of the one that this nginx worker runs
};

/// Counts in a gauge while it lives. Every held request has several of them, so it keeps no reference to the
/// counters: there is one object of them in an nginx worker.
class ScopedGauge {
 public:
  explicit ScopedGauge(Gauge gauge, std::int64_t n = 1);
  ScopedGauge(const ScopedGauge &) = delete;
  ScopedGauge &operator=(const ScopedGauge &) = delete;
  ~ScopedGauge() { set(0); }
  void set(std::int64_t n);

 private:
  Gauge gauge_;
  std::int32_t n_ = 0;
};

}  // namespace await::http
