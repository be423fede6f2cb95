#include "http/runtime/queue_cache.h"

#include <algorithm>

#include "http/runtime/shared_table.h"

namespace await::http {
namespace {

constexpr std::size_t kListed = 100;
constexpr std::size_t kRows = kListed + 1;  // and all others
constexpr std::size_t kRelays = 64;
constexpr std::int64_t kEveryMs = 5'000;
constexpr std::int64_t kIdleEveryMs = std::int64_t{5} * 60 * 1000;
constexpr std::int64_t kAskedMs = std::int64_t{10} * 60 * 1000;  // so long after the last request it is idle

}  // namespace

// Times are by the monotonic clock, which all processes share.
struct QueueCache::Table {
  std::int64_t next_ms;   // of the next read
  std::int64_t asked_ms;  // when the metrics were last asked for; 0: never
  std::int64_t read_ms;
  std::size_t count;
  core::QueueStats rows[kRows];
  std::size_t relay_count;
  core::RelayStats relays[kRelays];
  core::DeliveryStats deliveries;
};

ngx_shm_zone_t *QueueCache::reserve(ngx_conf_t *cf) {
  return reserve_table(cf, "await_queues", sizeof(Table), 16, init_zone);
}

ngx_int_t QueueCache::init_zone(ngx_shm_zone_t *zone, void *old) {
  return init_table(zone, old, sizeof(Table));
}

QueueCache::QueueCache(ngx::Loop &loop, Backends &backends, ngx_shm_zone_t *zone)
    : loop_(loop), backends_(backends) {
  if (zone == nullptr)
    return;
  pool_ = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
  table_ = static_cast<Table *>(zone->data);
}

void QueueCache::on_second() {
  std::int64_t now = loop_.monotonic_ms();
  if (table_ == nullptr || reply_.waiting() || relays_reply_.waiting() || deliveries_reply_.waiting() ||
      !backends_.has_queue_stats())
    return;
  {
    TryLock lock(*pool_);
    if (!lock || now < table_->next_ms)
      return;
    bool asked = table_->asked_ms != 0 && now - table_->asked_ms < kAskedMs;
    table_->next_ms = now + (asked ? kEveryMs : kIdleEveryMs);
  }
  backends_.read_queue_stats(static_cast<int>(kListed), reply_);
  backends_.read_relay_stats(static_cast<int>(kRelays), relays_reply_);
  backends_.read_delivery_stats(deliveries_reply_);
}

void QueueCache::on_read(Result<std::vector<core::QueueStats>> queues) {
  if (!queues)
    return;  // it was logged; the next read may do better
  TryLock lock(*pool_);
  if (!lock)
    return;
  table_->count = std::min(queues->size(), kRows);
  std::copy_n(queues->begin(), table_->count, table_->rows);
  table_->read_ms = loop_.monotonic_ms();
}

void QueueCache::on_relays(Result<std::vector<core::RelayStats>> relays) {
  if (!relays)
    return;
  TryLock lock(*pool_);
  if (!lock)
    return;
  table_->relay_count = std::min(relays->size(), kRelays);
  std::copy_n(relays->begin(), table_->relay_count, table_->relays);
}

void QueueCache::on_deliveries(Result<core::DeliveryStats> deliveries) {
  if (!deliveries)
    return;
  TryLock lock(*pool_);
  if (lock)
    table_->deliveries = *deliveries;
}

const QueueCache::Known &QueueCache::get() {
  if (table_ == nullptr)
    return known_;
  std::int64_t now = loop_.monotonic_ms();
  TryLock lock(*pool_);
  if (lock) {
    table_->asked_ms = now;
    table_->next_ms = std::min(table_->next_ms, now + kEveryMs);
    known_.queues.assign(table_->rows, table_->rows + table_->count);
    known_.relays.assign(table_->relays, table_->relays + table_->relay_count);
    known_.deliveries = table_->deliveries;
    known_.read_at_ms = table_->read_ms;
  }
  return known_;
}

}  // namespace await::http
