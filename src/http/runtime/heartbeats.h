#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "core/timer_wheel.h"
#include "ngx/loop.h"

namespace await::http {

/// The timers of held requests: heartbeats, to the second, and the ends of waits, to a tenth of a second. Two
/// timer wheels, so that thousands of clients need two timers of nginx. Also the bytes of heartbeats, which
/// are the same for all clients.
class Heartbeats {
 public:
  /// @param on_second  called once a second, after the heartbeats
  Heartbeats(ngx::Loop &loop, std::function<void()> on_second);

  /// Calls `entry` when its next heartbeat is due, or at `expires_ms` (0: never) if that is sooner.
  void schedule_beat(core::TimerEntry &entry, ngx_msec_t ping_ms, std::int64_t expires_ms) {
    schedule(entry, seconds_to_beat(ping_ms, expires_ms));
  }
  std::size_t seconds_to_beat(ngx_msec_t ping_ms, std::int64_t expires_ms) const;
  /// Calls `entry` in so many seconds.
  void schedule(core::TimerEntry &entry, std::size_t seconds) { beats_wheel_.put(entry, seconds); }
  /// Calls `entry` in `ms`: never earlier, and less than 0.2 s later. At most 200 s.
  void schedule_deadline(core::TimerEntry &entry, std::int64_t ms);

  /// A heartbeat of an event stream: an event (`visible`), or a comment.
  /// @param chunked  as a chunk of HTTP/1.1
  const Bytes &sse_beat(bool visible, bool chunked) const {
    return sse_beats_[(visible ? 1 : 0) + (chunked ? 2 : 0)];
  }
  const Bytes &last_chunk() const { return last_chunk_; }
  /// A ping frame.
  const Bytes &websocket_ping() const { return websocket_ping_; }
  /// A heartbeat as a text message, for scripts.
  const Bytes &websocket_beat() const { return websocket_beat_; }

 private:
  void on_tick();
  void on_deadline_tick();

  ngx::Loop &loop_;
  std::function<void()> on_second_;
  core::TimerWheel beats_wheel_{128};       // of seconds
  core::TimerWheel deadlines_wheel_{2048};  // of tenths of a second
  std::int64_t deadlines_until_ms_ = 0;
  Bytes sse_beats_[4];
  Bytes last_chunk_;
  Bytes websocket_ping_;
  Bytes websocket_beat_;
  std::unique_ptr<io::Timer> tick_timer_;
  std::unique_ptr<io::Timer> deadline_timer_;
};

}  // namespace await::http
