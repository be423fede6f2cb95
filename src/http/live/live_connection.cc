#include "http/live/live_connection.h"

#include <utility>

#include "http/exchange/request_info.h"
#include "http/runtime/held_request.h"
#include "ngx/bind.h"
#include "ngx/guard.h"

namespace await::http {

using ngx::Answer;

LiveConnection::LiveConnection(ngx_http_request_t *r, Runtime &runtime, const wire::EventEncoding &encoding,
                               bool visible_beat)
    : HeldRequest(r, runtime),
      conf_(location_conf(r)),
      encoding_(encoding),
      expires_ms_(runtime_.ms_at(request_info(r).expires_s)),
      began_ms_(runtime_.now_ms()),
      visible_beat_(visible_beat) {}

void LiveConnection::bind_request() { ngx::bind<LiveConnection>(r_, this); }

std::int64_t LiveConnection::held_ms() const { return runtime_.now_ms() - began_ms_; }

void LiveConnection::schedule_heartbeat() {
  schedule_check(runtime_.heartbeats().seconds_to_beat(heartbeat_interval(), expires_ms_));
}

void LiveConnection::schedule_check(std::size_t ticks) { runtime_.heartbeats().schedule(*this, ticks); }

/// May destroy this in each branch.
void LiveConnection::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    if (is_unresponsive()) {
      disconnect();
      return;
    }
    if (expires_ms_ != 0 && runtime_.now_ms() >= expires_ms_) {
      on_expiry();
      return;
    }
    schedule_heartbeat();
    if (pending() > 0)
      return;  // send_timeout watches a client that does not read; it gets no heartbeats on top
    push_heartbeat();
    write();
  });
}

void LiveConnection::deliver(core::Subscription &subscription, const core::EventPage &page) {
  core::Position &position = subscription.position();
  runtime_.deliveries().sent(page, way(), held_ms());
  // half of the limit, because what is written at once is not split any more
  if (shares_pages() && pending() == 0 && position.takes_whole(page, conf_.max_buffered / 2)) {
    push_page(page, position);
  } else {
    position.advance(
        page, [this] { return !is_full(); },
        [&](const core::Event &event) { push_event(subscription, page, event); });
  }
  if (!is_full() || subscription.paused())
    return;
  if (!std::exchange(paused_, true))
    runtime_.counters().count(Counter::paused);
  subscription.pause();
}

void LiveConnection::write() {
  Written written = send();
  buffered_.set(static_cast<std::int64_t>(pending()));
  if (written.failed || timer_.after_write(writer(), written.waits) != NGX_OK) {
    disconnect();  // usually destroys this
    return;
  }
  if (ended_) {
    if (written.complete)
      finish_response();  // usually destroys this
    return;
  }
  if (!is_full())
    on_room();
  if (!written.waits)
    rest();
}

void LiveConnection::finish_response() {
  if (revive())                    // false: this was destroyed
    finish(Answer::sent(NGX_OK));  // usually destroys this
}

void LiveConnection::disconnect() {
  connection()->error = 1;
  if (revive())                  // false: this was destroyed
    finish(lost_answer(false));  // usually destroys this
}

void LiveConnection::on_parked_writable() {
  ngx_connection_t *c = connection();
  if (c->write->timedout)
    on_send_timeout();  // may destroy this
  else if (pending() > 0 || c->buffered != 0 || r_ != nullptr)
    write();  // may destroy this
}

/// Nothing could be written for send_timeout. May destroy this.
void LiveConnection::on_send_timeout() {
  if (!timer_.expired(writer()))
    return;
  connection()->timedout = 1;
  if (revive())                 // false: this was destroyed
    finish(lost_answer(true));  // usually destroys this
}

/// Everything is written: parks the connection, which needs no request until more is to be written.
void LiveConnection::rest() {
  if (r_ == nullptr || !conf_.park || closing_ || !park())
    return;
  on_park();
  runtime_.counters().add(Gauge::parked, 1);
}

void LiveConnection::on_revive() {
  runtime_.counters().add(Gauge::parked, -1);
  RequestInfo &info = request_info(r_);
  info.held_ms = held_ms();
  restore_info(info);
}

void LiveConnection::on_request_readable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<LiveConnection>(r);
  ngx::guarded(r->connection->log, [self] { self->on_parked_readable(); });
}

void LiveConnection::on_request_writable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<LiveConnection>(r);
  ngx::guarded(r->connection->log, [self] { self->on_parked_writable(); });
}

}  // namespace await::http
