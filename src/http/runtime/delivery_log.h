#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "core/job.h"
#include "http/runtime/backends.h"
#include "http/runtime/counters.h"
#include "ngx/nginx.h"

namespace await::http {

/// What the clients of this node were told of late, for the console: in shared memory, bounded, and without a
/// lock, since every nginx worker adds to it.
class DeliveryLog {
 public:
  enum class Way : std::uint8_t { poll, stream, socket };
  static constexpr std::size_t kWays = 3;

  struct Entry {
    Uuid job;
    int seq = 0;  ///< of the newest event that was sent
    Way way = Way::poll;
    std::int64_t clients = 0;  ///< of one nginx worker, one after the other
    std::int64_t at_ms = 0;    ///< Unix time by PostgreSQL's clock, of the last of them
    std::int64_t late_ms = 0;  ///< since the event, at most
  };

  /// Requests the shared memory while nginx reads its configuration. Returns null if that fails; the error is
  /// logged.
  static ngx_shm_zone_t *reserve(ngx_conf_t *cf);

  /// @param zone  what reserve() returned
  DeliveryLog(Backends &backends, Counters &counters, ngx_shm_zone_t &zone);

  /// A submission was answered so long after its first byte.
  void submitted(std::int64_t took_ms) { counters_.time(Timed::submit, took_ms); }
  /// An event is being sent. It is timed if the client was there when it happened.
  /// @param happened_ms  Unix time by PostgreSQL's clock
  /// @param waited_ms  how long the client has been there
  void sent(const Uuid &job, int seq, Way way, std::int64_t happened_ms, std::int64_t waited_ms);
  /// The events of a page are being sent.
  void sent(const core::EventPage &page, Way way, std::int64_t waited_ms);

  /// The newest entries of a job, newest first.
  std::vector<Entry> of(const Uuid &job, std::size_t most) const;

 private:
  struct Slot;
  struct Table;
  static ngx_int_t init_zone(ngx_shm_zone_t *zone, void *old);

  Backends &backends_;
  Counters &counters_;
  Table &table_;
  std::array<std::uint64_t, kWays> last_{};  // the number of this nginx worker's newest entry; 0: none
};

const char *name_of(DeliveryLog::Way way);

}  // namespace await::http
