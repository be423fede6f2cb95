#include "http/live/held_poll.h"

#include "http/exchange/request_info.h"
#include "ngx/guard.h"

namespace await::http {

void HeldPoll::start_time(std::int64_t wait_ms) {
  over_ = wait_ms == 0 || runtime_.lifecycle().draining();
  if (over_)
    return;
  poll_.set(1);
  due_ms_ = runtime_.now_ms() + wait_ms;
  runtime_.heartbeats().schedule_deadline(*this, wait_ms);
}

void HeldPoll::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    std::int64_t left = due_ms_ - runtime_.now_ms();
    if (left > 0)
      runtime_.heartbeats().schedule_deadline(*this, left);  // the wheel does not cover a longer time
    else
      drain();
  });
}

void HeldPoll::drain() {
  over_ = true;
  read_last();
}

void HeldPoll::give_up() {
  if (revive())                   // false: this was destroyed
    finish(send_restarting(r_));  // usually destroys this
}

void HeldPoll::revoke() {
  if (revive())                // false: this was destroyed
    finish(send_revoked(r_));  // usually destroys this
}

void HeldPoll::rest() {
  if (!parked() && location_conf(r_).park && park())
    runtime_.counters().add(Gauge::parked, 1);
}

void HeldPoll::on_revive() {
  runtime_.counters().add(Gauge::parked, -1);
  restore_info(request_info(r_));
}

Answer send_revoked(ngx_http_request_t *r) { return send_problem(r, 403, "The session was revoked."); }

}  // namespace await::http
