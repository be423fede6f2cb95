#pragma once

#include <optional>

#include "core/ticket_batcher.h"
#include "http/runtime/runtime.h"

namespace await::http {

/// The runtime under the names that src/http/live uses. To be removed.
class Process : public Runtime {
 public:
  using Flush = http::Flush;
  using Guest = GreetingWaiter;
  using Runtime::counters, Runtime::flush_soon, Runtime::hub, Runtime::ms_at, Runtime::now_ms,
      Runtime::random;
  core::SubmitBatcher &intake() { return submissions(); }
  core::ReadServices<core::JobRead> &jobs() { return job_services(); }
  core::SubscriptionServices &events(const Uuid &id) { return event_services(id); }
  core::Store &store() { return backends().store(); }
  core::Topics &topics() { return backends().topics(); }
  core::Payloads &payloads() { return backends().payloads(); }
  core::Bus &bus() { return backends().bus(); }
  std::string_view secret() { return keys().current(); }
  core::EndedJobCache *memory(ngx_shm_zone_t *zone) { return cache(zone); }
  struct Wheel {
    Heartbeats &heartbeats;
    void put(core::TimerEntry &entry, std::size_t seconds) { heartbeats.schedule(entry, seconds); }
  };
  Wheel wheel() { return {heartbeats()}; }
  std::size_t ticks_to(ngx_msec_t ping_ms, std::int64_t expires_ms) {
    return heartbeats().seconds_to_beat(ping_ms, expires_ms);
  }
  void due_in(core::TimerEntry &entry, std::int64_t ms) { heartbeats().schedule_deadline(entry, ms); }
  const Bytes &beat(bool visible, bool chunked) { return heartbeats().sse_beat(visible, chunked); }
  const Bytes &last_chunk() { return heartbeats().last_chunk(); }
  const Bytes &socket_ping() { return heartbeats().websocket_ping(); }
  const Bytes &socket_beat() { return heartbeats().websocket_beat(); }
  std::int64_t database_ms() { return backends().database_ms(); }
  Uuid new_id(unsigned retention) { return backends().new_id(retention); }
  bool past_retention(const Uuid &id) { return backends().past_retention(id); }
  std::uint32_t timeline() { return backends().timeline(); }
  void introduce(Guest &guest) { backends().wait_for_greeting(guest); }
  void register_held(ngx::Held &held) { lifecycle().register_held(held); }
  bool draining() { return lifecycle().draining(); }
  void tell_user(const std::string &owner) { user_hints().publish_soon(owner); }
};

inline Process *process() { return static_cast<Process *>(runtime()); }

}  // namespace await::http
