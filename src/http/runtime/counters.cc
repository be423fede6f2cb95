#include "http/runtime/counters.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "core/timelines.h"
#include "http/runtime/shared_table.h"

namespace await::http {
namespace {

constexpr std::size_t kSlots = 256;

Counters *of_this_worker = nullptr;

}  // namespace

// Written by one process and read by all. Aligned words, so no lock is needed.
struct Counters::Slot {
  volatile std::int64_t pid;
  volatile std::int64_t gauges[static_cast<std::size_t>(Gauge::count)];
  volatile std::int64_t counters[static_cast<std::size_t>(Counter::count)];
  volatile std::int64_t timed[static_cast<std::size_t>(Timed::count)][core::Latency::kBuckets];
};

struct Counters::Table {
  Slot slots[kSlots];
  core::Timelines timelines;             // guarded by the lock of the zone
  volatile std::int64_t configurations;  // that the master has read; written by the master only
  ngx_atomic_t taken;                    // the latest second that was taken
};

ngx_shm_zone_t *Counters::reserve(ngx_conf_t *cf) {
  return reserve_table(cf, "await_counters", sizeof(Table), 8, init_zone);
}

ngx_int_t Counters::init_zone(ngx_shm_zone_t *zone, void *old) {
  if (old != nullptr) {
    auto &table = *static_cast<Table *>(old);
    table.configurations = table.configurations + 1;
  }
  return init_table(zone, old, sizeof(Table));
}

Counters::Counters(ngx_shm_zone_t *zone)
    : pool_(*reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)),
      table_(*static_cast<Table *>(zone->data)),
      slot_(table_.slots[static_cast<std::size_t>(ngx_process_slot) % kSlots]),
      configuration_(table_.configurations) {
  slot_.pid = ngx_pid;
  for (auto &gauge : slot_.gauges)
    gauge = 0;
  of_this_worker = this;
}

Counters::~Counters() {
  slot_.pid = 0;
  if (of_this_worker == this)
    of_this_worker = nullptr;
}

bool Counters::is_reloaded() const { return table_.configurations != configuration_; }

Counters *Counters::of_worker() { return of_this_worker; }

std::int64_t Counters::of(Gauge gauge) const { return slot_.gauges[static_cast<std::size_t>(gauge)]; }
void Counters::set(Gauge gauge, std::int64_t value) { slot_.gauges[static_cast<std::size_t>(gauge)] = value; }
void Counters::add(Gauge gauge, std::int64_t delta) { set(gauge, of(gauge) + delta); }

void Counters::count(Counter counter, std::int64_t n) {
  auto &number = slot_.counters[static_cast<std::size_t>(counter)];
  number = number + n;
}

void Counters::time(Timed what, std::int64_t ms) {
  auto &number = slot_.timed[static_cast<std::size_t>(what)][core::Latency::bucket(ms)];
  number = number + 1;
}

bool Counters::accept_timeline(std::string_view name) {
  ngx_shmtx_lock(&pool_.mutex);  // held for the time of a few comparisons, once a re-read
  bool accepted = table_.timelines.accept(name);
  ngx_shmtx_unlock(&pool_.mutex);
  return accepted;
}

bool Counters::take_second(std::int64_t second) {
  ngx_atomic_uint_t before = table_.taken;
  auto now = static_cast<ngx_atomic_uint_t>(second);
  return before < now && ngx_atomic_cmp_set(&table_.taken, before, now) != 0;
}

bool Counters::is_alive(const Slot &slot) {
  return slot.pid != 0 && (::kill(static_cast<pid_t>(slot.pid), 0) == 0 || errno == EPERM);
}

std::int64_t Counters::sum(Gauge gauge) const {
  std::int64_t total = 0;
  for (const Slot &slot : table_.slots)
    total += is_alive(slot) ? slot.gauges[static_cast<std::size_t>(gauge)] : 0;
  return total;
}

std::int64_t Counters::highest(Gauge gauge) const {
  std::int64_t most = 0;
  for (const Slot &slot : table_.slots)
    most = std::max<std::int64_t>(most, is_alive(slot) ? slot.gauges[static_cast<std::size_t>(gauge)] : 0);
  return most;
}

std::int64_t Counters::sum(Counter counter) const {
  std::int64_t total = 0;
  for (const Slot &slot : table_.slots)
    total += slot.counters[static_cast<std::size_t>(counter)];
  return total;
}

core::Latency Counters::sum(Timed what) const {
  core::Latency total;
  for (const Slot &slot : table_.slots) {
    for (std::size_t i = 0; i < core::Latency::kBuckets; ++i)
      total.counts[i] += slot.timed[static_cast<std::size_t>(what)][i];
  }
  return total;
}

ScopedGauge::ScopedGauge(Gauge gauge, std::int64_t n) : gauge_(gauge) { set(n); }

void ScopedGauge::set(std::int64_t n) {
  if (Counters *counters = Counters::of_worker())
    counters->add(gauge_, n - n_);
  n_ = static_cast<std::int32_t>(n);
}

}  // namespace await::http
