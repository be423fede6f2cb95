#include "http/runtime/delivery_log.h"

#include <algorithm>

#include "core/kind.h"
#include "http/runtime/shared_table.h"

namespace await::http {
namespace {

constexpr std::size_t kSlots = 8192;

}  // namespace

// A writer takes the next number, and with it a slot that no other one writes until all others are used. A
// reader passes over what is being written: its number changes, or is 0.
struct DeliveryLog::Slot {
  volatile std::uint64_t no;
  Entry entry;
};

struct DeliveryLog::Table {
  ngx_atomic_t next;
  Slot slots[kSlots];
};

ngx_shm_zone_t *DeliveryLog::reserve(ngx_conf_t *cf) {
  return reserve_table(cf, "await_deliveries", sizeof(Table), 16, init_zone);
}

ngx_int_t DeliveryLog::init_zone(ngx_shm_zone_t *zone, void *old) {
  return init_table(zone, old, sizeof(Table));
}

DeliveryLog::DeliveryLog(Backends &backends, Counters &counters, ngx_shm_zone_t &zone)
    : backends_(backends), counters_(counters), table_(*static_cast<Table *>(zone.data)) {}

void DeliveryLog::sent(const Uuid &job, int seq, Way way, std::int64_t happened_ms, std::int64_t waited_ms) {
  std::int64_t now = backends_.database_ms();
  std::int64_t late = std::max<std::int64_t>(0, now - happened_ms);
  if (late < waited_ms)  // what happened before the client came has not been waiting for it
    counters_.time(Timed::deliver, late);
  std::uint64_t &last = last_[static_cast<std::size_t>(way)];
  Slot &before = table_.slots[last % kSlots];
  if (last != 0 && before.no == last && before.entry.seq == seq && before.entry.job == job) {
    // one event for many: an entry for all of them. A reader may see half of that, which is as good
    ++before.entry.clients;
    before.entry.at_ms = now;
    before.entry.late_ms = std::max(before.entry.late_ms, late);
    return;
  }
  last = static_cast<std::uint64_t>(ngx_atomic_fetch_add(&table_.next, 1)) + 1;
  Slot &slot = table_.slots[last % kSlots];
  slot.no = 0;
  ngx_memory_barrier();
  slot.entry = {job, seq, way, 1, now, late};
  ngx_memory_barrier();
  slot.no = last;
}

void DeliveryLog::sent(const core::EventPage &page, Way way, std::int64_t waited_ms) {
  if (page.events.empty())
    return;
  if (page.merged) {
    for (const core::Event &event : page.events) {
      if (event.origin)
        sent(event.origin->job, event.seq, way, event.at, waited_ms);
    }
  } else {
    sent(page.job, page.events.back().seq, way, page.events.back().at, waited_ms);
  }
}

std::vector<DeliveryLog::Entry> DeliveryLog::of(const Uuid &job, std::size_t most) const {
  std::vector<Entry> out;
  auto newest = static_cast<std::uint64_t>(table_.next);
  for (std::uint64_t no = newest; no > 0 && newest - no < kSlots && out.size() < most; --no) {
    const Slot &slot = table_.slots[no % kSlots];
    if (slot.no != no || slot.entry.job != job)
      continue;
    Entry entry = slot.entry;
    ngx_memory_barrier();
    if (slot.no == no)
      out.push_back(entry);
  }
  return out;
}

const char *name_of(DeliveryLog::Way way) {
  switch (way) {
    case DeliveryLog::Way::poll:
      return "poll";
    case DeliveryLog::Way::stream:
      return "stream";
    case DeliveryLog::Way::socket:
      break;
  }
  return "socket";
}

}  // namespace await::http
