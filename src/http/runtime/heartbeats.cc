#include "http/runtime/heartbeats.h"

#include <algorithm>
#include <string>
#include <utility>

#include "wire/socket_protocol.h"
#include "wire/sse.h"
#include "wire/websocket.h"

namespace await::http {
namespace {

constexpr std::int64_t kTickMs = 1000;
constexpr std::int64_t kDeadlineTickMs = 100;
constexpr std::int64_t kDeadlineTicks = 2048;

}  // namespace

Heartbeats::Heartbeats(ngx::Loop &loop, std::function<void()> on_second)
    : loop_(loop),
      on_second_(std::move(on_second)),
      last_chunk_(wire::kLastChunk),
      websocket_ping_(wire::websocket_ping()),
      websocket_beat_(wire::websocket_text(wire::kBeat)),
      tick_timer_(loop.timer([this] { on_tick(); }, io::Loop::Quit::may)),
      deadline_timer_(loop.timer([this] { on_deadline_tick(); }, io::Loop::Quit::may)) {
  for (bool visible : {false, true}) {
    std::string beat = visible ? wire::sse_frame("", "beat", "{}") : std::string(wire::kSseComment);
    sse_beats_[visible ? 1 : 0] = Bytes(beat);
    sse_beats_[visible ? 3 : 2] = Bytes(wire::chunk(beat));
  }
  tick_timer_->set(kTickMs);
}

void Heartbeats::on_tick() {
  tick_timer_->set(kTickMs);
  beats_wheel_.tick();
  on_second_();
}

void Heartbeats::on_deadline_tick() {
  if (loop_.monotonic_ms() < deadlines_until_ms_)
    deadline_timer_->set(kDeadlineTickMs);
  deadlines_wheel_.tick();
}

std::size_t Heartbeats::seconds_to_beat(ngx_msec_t ping_ms, std::int64_t expires_ms) const {
  auto ms = static_cast<std::int64_t>(ping_ms);
  if (expires_ms != 0)  // one tick later, so that it has expired when it is called
    ms = std::clamp<std::int64_t>(expires_ms - loop_.monotonic_ms() + kTickMs, kTickMs, ms);
  return static_cast<std::size_t>(std::max<std::int64_t>(1, ms / kTickMs));
}

void Heartbeats::schedule_deadline(core::TimerEntry &entry, std::int64_t ms) {
  // the current tick is shorter than a whole one
  auto ticks = static_cast<std::size_t>((ms + kDeadlineTickMs - 1) / kDeadlineTickMs);
  deadlines_wheel_.put(entry, deadline_timer_->pending() ? ticks + 1 : ticks);
  deadlines_until_ms_ = loop_.monotonic_ms() + kDeadlineTicks * kDeadlineTickMs;
  if (!deadline_timer_->pending())
    deadline_timer_->set(kDeadlineTickMs);
}

}  // namespace await::http
