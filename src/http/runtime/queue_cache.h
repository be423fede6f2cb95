#pragma once

#include <cstdint>
#include <vector>

#include "core/ports.h"
#include "core/queue_stats.h"
#include "core/relay_stats.h"
#include "http/runtime/backends.h"
#include "ngx/loop.h"
#include "ngx/nginx.h"

namespace await::http {

/// What is known of the queues, the sinks of await-relay and the webhooks, for the metrics: in shared memory,
/// so that one nginx worker reads it from the database for all, and no request waits for it. It is read every
/// 5 s, and every 5 minutes while nobody asks.
class QueueCache {
 public:
  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

  /// @param zone  what reserve() returned; null: no location needs it, so nothing is read
  QueueCache(ngx::Loop &loop, Backends &backends, ngx_shm_zone_t *zone);

  /// Call once a second: starts a read if it is time, and no other nginx worker reads.
  void on_second();

  struct Known {
    std::vector<core::QueueStats> queues;  ///< empty: nothing was read yet
    std::vector<core::RelayStats> relays;
    core::DeliveryStats deliveries{};
    std::int64_t read_at_ms = 0;  ///< monotonic
  };
  /// What was read last.
  const Known &get();

 private:
  struct Table;
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);
  void on_read(Result<std::vector<core::QueueStats>> queues);
  void on_relays(Result<std::vector<core::RelayStats>> relays);
  void on_deliveries(Result<core::DeliveryStats> deliveries);

  ngx::Loop &loop_;
  Backends &backends_;
  ngx_slab_pool_t *pool_ = nullptr;
  Table *table_ = nullptr;
  Known known_;  // a copy
  core::Reply<std::vector<core::QueueStats>> reply_ =
      core::Reply<std::vector<core::QueueStats>>::to<&QueueCache::on_read>(this);
  core::Reply<std::vector<core::RelayStats>> relays_reply_ =
      core::Reply<std::vector<core::RelayStats>>::to<&QueueCache::on_relays>(this);
  core::Reply<core::DeliveryStats> deliveries_reply_ =
      core::Reply<core::DeliveryStats>::to<&QueueCache::on_deliveries>(this);
};

}  // namespace await::http
