#include "http/live/sse_stream.h"

#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/counted_subscription.h"
#include "ngx/bind.h"
#include "ngx/guard.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "ngx/tls.h"
#include "wire/channel.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

/// @param channel  empty: there is only one
std::string state_data(std::string_view cursor, std::string_view state, std::string_view channel = {}) {
  wire::JsonWriter data;
  if (!channel.empty())
    data.text("channel", channel);
  data.text("cursor", cursor);
  data.text("state", state);
  return data.take();
}

std::string_view standing(const core::MultiSubscription::Part &part) {
  return part.gone ? "gone" : wire::standing(part.kind(), part.state);
}

std::string_view standing(const core::MultiSubscription &bundle) {
  return bundle.is_alone() ? standing(bundle.first()) : wire::kLive;
}

}  // namespace

SseStream::SseStream(ngx_http_request_t *r, const std::vector<wire::Channel> &channels,
                     const wire::EventEncoding &shape, const StreamOptions &options)
    : Held(r),
      conf_(location_conf(r)),
      shape_(shape),
      bundle_(*this, process()->events(channels.front().id),
              source_of(conf_, channels.front(), options.cursor)),
      expires_ms_(process()->ms_at(facts(r).expires_s)),
      names_(options.names),
      visible_beat_(options.visible_beat),
      linger_(options.linger) {
  for (auto at = channels.begin() + 1; at != channels.end(); ++at)
    bundle_.add(process()->events(at->id), source_of(conf_, *at, options.cursor));
  reading_.set(static_cast<std::int64_t>(channels.size()));
  process()->register_held(*this);
}

Answer SseStream::start() {
  ngx::bind(r_, this);
  out_ = ngx::make<ngx::FilterOutput>(r_->pool, r_);
  began_ms_ = process()->now_ms();
  Answer held = hold();
  bundle_.start((r_->method & NGX_HTTP_HEAD) == 0, !linger_, [](const core::MultiSubscription::Part &part) {
    return part.kind() == core::Kind::job && process()->past_retention(part.id());
  });
  return held;
}

std::optional<std::string_view> SseStream::owner() const { return owner_of(r_); }

void SseStream::on_error(const Error &error) {
  if (error.code == Code::not_found)
    finish(send_error(r_, error));
  else
    end_with_retry();
}

/// Sends the header and the primer.
bool SseStream::on_ready() {
  reading_.set(0);
  if (!linger_ && bundle_.all([](const core::MultiSubscription::Part &part) { return part.knew; })) {
    add_header(r_, "Cache-Control", "no-store");
    finish(send_empty(r_, 204));  // nothing will ever come: stops EventSource
    return false;
  }
  if (!send_head())
    return false;
  if (!bundle_.is_alone() || !bundle_.first().lost)
    push_frame("ready", state_data(bundle_.cursor(), standing(bundle_)));
  return true;
}

/// What was missed cannot be told: says so, with where the channel stands now.
void SseStream::on_gap(core::MultiSubscription::Part &part) {
  process()->counters().count(Counter::resets);
  push_frame("reset", state_data(bundle_.cursor(), standing(part),
                                 bundle_.is_alone() ? std::string() : part.channel()));
}

void SseStream::on_end() {
  if (behind_)
    push_frame("ready", state_data(bundle_.cursor(), standing(bundle_)));
  end();
}

bool SseStream::send_head() {
  r_->headers_out.status = NGX_HTTP_OK;
  r_->headers_out.content_type = ngx::borrow("text/event-stream");
  r_->headers_out.content_type_len = r_->headers_out.content_type.len;
  r_->headers_out.content_length_n = -1;
  r_->disable_not_modified = 1;
  add_header(r_, "Cache-Control", "no-store");
  add_header(r_, "X-Accel-Buffering", "no");
  add_header(r_, "Vary", "Accept");
  ngx_int_t rc = http::send_head(r_);
  if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
    finish(Answer::sent(rc));
    return false;
  }
  sent_ = true;
  if (r_->stream == nullptr && core_conf().tcp_nodelay)
    ngx_tcp_nodelay(r_->connection);  // an event must not wait for the acknowledgement of the one before
  r_->write_event_handler = on_writable;
  push(wire::sse_retry(retry_ms(conf_)));
  beat();
  return true;
}

/// As many as the client has room for; the rest is read again when it has caught up.
void SseStream::on_events(core::MultiSubscription::Part &part, const core::EventPage &page) {
  core::Position &place = part.place();
  bool whole = bundle_.is_alone() && out_ == nullptr && backlog_.pending() == 0 &&
               place.takes_whole(page, conf_.max_buffered / 2);
  if (whole) {
    push_shared(wire::page_frame(page, place, style(), shape_));  // which has taken all of them
  } else {
    place.advance(
        page, [this] { return !is_full(); },
        [&](const core::Event &event) { give_event(page, event, place); });
  }
  if (is_full() && !part.paused()) {
    process()->counters().count(Counter::paused);
    part.pause();
  }
}

void SseStream::give_event(const core::EventPage &page, const core::Event &event,
                           const core::Position &place) {
  if (bundle_.is_alone()) {
    push_shared(wire::event_frame(page, event, place, style(), shape_));
    return;
  }
  std::string frame = wire::mixed_frame(page, event, bundle_.cursor(), names_, shape_);
  behind_ = frame.empty();
  if (!behind_)
    push(frame);
}

/// Empty: it is not shown.
void SseStream::push_shared(const Bytes &frame) {
  behind_ = frame.empty();
  if (behind_)
    return;
  if (out_ != nullptr)
    out_->push(frame);
  else
    backlog_.push(frame);
}

void SseStream::push_frame(std::string_view type, std::string_view data) {
  behind_ = false;
  push(wire::sse_frame(bundle_.cursor(), names_ ? type : std::string_view(), data));
}

void SseStream::push(std::string_view text) {
  if (out_ != nullptr)
    out_->push(Bytes(text));
  else
    backlog_.push(Bytes(chunked() ? wire::chunk(text) : std::string(text)));
}

void SseStream::beat() { process()->wheel().put(*this, process()->ticks_to(conf_.ping, expires_ms_)); }

void SseStream::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    if (expires_ms_ != 0 && process()->now_ms() >= expires_ms_) {
      end();  // who comes back has to show a new token
      return;
    }
    beat();
    if (pending() > 0)
      return;  // a client that does not read gets no heartbeats on top
    const Bytes &bytes = process()->beat(visible_beat_, style().chunked);
    if (out_ != nullptr)
      out_->push(bytes);
    else
      backlog_.push(bytes);
    write();
  });
}

void SseStream::on_parked_writable() {
  ngx_connection_t *c = connection();
  if (c->write->timedout) {
    lapse();
    return;
  }
  if (pending() > 0 || c->buffered != 0)
    write();
}

/// Nothing could be written for send_timeout.
void SseStream::lapse() {
  ngx_connection_t *c = connection();
  if (!timer_.expired(writer()))
    return;
  c->timedout = 1;
  if (revive())
    finish(Answer::timed_out());
}

void SseStream::write() {
  if (out_ == nullptr) {
    ngx_int_t rc = backlog_.flush(connection());
    if (!wrote(rc, rc == NGX_AGAIN))
      return;
    if (ended_ && rc == NGX_OK && revive())
      finish(Answer::sent(NGX_OK));
    return;
  }
  ngx_int_t rc = out_->flush();
  bool waits = out_->pending() > 0 || ngx::is_write_buffered(r_);
  if (!wrote(rc, waits))
    return;
  if (ended_ && out_->pending() == 0) {
    finish(Answer::sent(ngx_http_send_special(r_, NGX_HTTP_LAST)));
    return;
  }
  if (!waits)
    ngx::release_tls_buffer(r_);
  if (!ended_)
    rest();
}

/// What is done after every write. False: the client is gone, and this with it.
bool SseStream::wrote(ngx_int_t rc, bool waits) {
  ngx_connection_t *c = connection();
  buffered_.set(static_cast<std::int64_t>(pending()));
  if (rc == NGX_ERROR || timer_.after_write(writer(), waits) != NGX_OK) {
    c->error = 1;
    if (revive())
      finish(Answer::cut());
    return false;
  }
  if (!ended_ && !is_full())
    bundle_.resume();
  return true;
}

/// All is written: the connection alone will do.
void SseStream::rest() {
  if (!conf_.park || out_->pending() > 0)
    return;
  if (!park())
    return;
  out_ = nullptr;  // it went with the request
  process()->counters().add(Gauge::parked, 1);
}

void SseStream::on_revive() {
  process()->counters().add(Gauge::parked, -1);
  bundle_.each([this](core::MultiSubscription::Part &part) {
    if (part.kind() == core::Kind::job)
      facts(r_).id = part.id().text();
  });
  facts(r_).delivery = "sse";
  facts(r_).state = core::state_name(bundle_.first().state);
  facts(r_).held_ms = process()->now_ms() - began_ms_;
}

void SseStream::on_writable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<SseStream>(r);
  ngx::guarded(r->connection->log, [=] { r->connection->write->timedout ? self->lapse() : self->write(); });
}

/// PostgreSQL is away before anything was sent: any status but 200 would stop EventSource for good.
void SseStream::end_with_retry() {
  if (send_head())
    end();
}

void SseStream::drain() {
  if (ended_)
    return;
  if (sent_)
    end();  // the client comes back after `retry`, spread over that time, and goes on at its cursor
  else
    end_with_retry();
}

void SseStream::end() {
  ended_ = true;
  leave();
  if (parked() && chunked())
    backlog_.push(process()->last_chunk());
  if (!parked()) {
    facts(r_).state = core::state_name(bundle_.first().state);
    facts(r_).held_ms = process()->now_ms() - began_ms_;
  }
  write();
}

void SseStream::leave() {
  core::TimerEntry::unlink();
  bundle_.leave();
  reading_.set(0);
}

}  // namespace await::http
