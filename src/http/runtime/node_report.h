#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "core/hub.h"
#include "core/ports.h"
#include "http/runtime/backends.h"
#include "http/runtime/counters.h"
#include "http/runtime/delivery_log.h"
#include "io/random.h"
#include "ngx/loop.h"
#include "ngx/nginx.h"
#include "wire/json_writer.h"

namespace await::http {

/// What this node tells the consoles of all nodes: every three seconds one nginx worker reports what all of
/// them do (await.edge_report). PostgreSQL stores that while a console of any node is open. While a console
/// shows a job, every second, and with who watches it here and what they were told.
class NodeReport {
 public:
  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

  /// @param zone  what reserve() returned
  NodeReport(ngx::Loop &loop, Backends &backends, Counters &counters, io::Random &random, core::Hub &hub,
             const DeliveryLog &deliveries, ngx_shm_zone_t &zone);

  /// Call once a second, while the server drains, too.
  void on_second();
  /// A console of this node is open: for a while, all nodes tell of themselves.
  void show();
  /// And it shows a job: they are asked about it, too. As many as there is room for; the others are not told
  /// of.
  void show(const Uuid &job);
  /// Of this start of nginx; the null UUID before the first report.
  Uuid id() const;

 private:
  static constexpr std::size_t kMostShown = 16;
  static constexpr std::size_t kMostWatched = 2 * kMostShown;
  /// The jobs that consoles show, and the users who own them; and how many clients of one nginx worker watch
  /// each.
  using Watched = std::pair<Uuid, std::int64_t>;
  struct Slot;
  struct Table;
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);
  void count_watchers();
  bool exchange();
  void send();
  void on_reply(Result<std::vector<Uuid>> wanted);

  ngx::Loop &loop_;
  Backends &backends_;
  Counters &counters_;
  io::Random &random_;
  core::Hub &hub_;
  const DeliveryLog &deliveries_;
  ngx_slab_pool_t &pool_;
  Table &table_;
  std::vector<Watched> watched_;  // here
  std::vector<Watched> known_;    // of all nginx workers, for the report that is due
  bool is_shown_ = false;         // by a console of this node, in the report that is due
  std::vector<Uuid> shown_;       // the jobs
  core::Reply<std::vector<Uuid>> reply_ = core::Reply<std::vector<Uuid>>::to<&NodeReport::on_reply>(this);
};

/// Adds what all nginx workers of this node hold, have counted and have timed, by what it is called in the
/// console.
void add_counts(wire::JsonWriter &out, const Counters &counters);

}  // namespace await::http
