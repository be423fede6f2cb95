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

/// What this node tells the consoles of all nodes: every three seconds one nginx worker writes a row with the
/// clients of all of them (await.edge_report), which PostgreSQL forgets when no other one follows. While a
/// console of any node shows a job, every second, and with who watches it here and what they were told.
/// Does nothing where no location has await_console.
class NodeReport {
 public:
  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

  /// @param zone  what reserve() returned; null: no location needs it
  NodeReport(ngx::Loop &loop, Backends &backends, Counters &counters, io::Random &random, core::Hub &hub,
             const DeliveryLog &deliveries, ngx_shm_zone_t *zone);

  /// Call once a second, while the server drains, too.
  void on_second();
  /// A console of this node shows a job: the nodes are asked about it for a while. As many as there is room
  /// for; the others are not told of.
  void ask(const Uuid &job);
  /// Of this start of nginx; the null UUID before the first report.
  Uuid id() const;

 private:
  static constexpr std::size_t kMostJobs = 16;
  /// The jobs that consoles show, and how many clients of one nginx worker watch each.
  using Watched = std::pair<Uuid, std::int64_t>;
  struct Slot;
  struct Table;
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);
  void count_watchers();
  bool exchange();
  void send();
  void on_reply(Result<std::vector<Uuid>> jobs);

  ngx::Loop &loop_;
  Backends &backends_;
  Counters &counters_;
  io::Random &random_;
  core::Hub &hub_;
  const DeliveryLog &deliveries_;
  ngx_slab_pool_t *pool_ = nullptr;
  Table *table_ = nullptr;
  std::vector<Watched> watched_;  // here
  std::vector<Watched> known_;    // of all nginx workers, for the report that is due
  std::vector<Uuid> asked_;       // by consoles of this node
  core::Reply<std::vector<Uuid>> reply_ = core::Reply<std::vector<Uuid>>::to<&NodeReport::on_reply>(this);
};

/// Adds the clients and connections of all nginx workers of this node, by what they are called in the
/// console.
void add_gauges(wire::JsonWriter &out, const Counters &counters);

}  // namespace await::http
