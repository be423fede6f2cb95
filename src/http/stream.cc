#include "http/stream.h"

#include "core/cursor.h"
#include "http/facts.h"
#include "http/respond.h"
#include "ngx/bind.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/document.h"
#include "wire/json_writer.h"
#include "wire/sse.h"

namespace await::http {
namespace {

std::string state_data(std::string_view cursor, core::State state) {
  wire::JsonWriter data;
  data.text("cursor", cursor);
  data.text("state", core::state_name(state));
  return data.take();
}

}  // namespace

EventStream::EventStream(ngx_http_request_t *r, const Uuid &id, StreamOptions options)
    : Held(r),
      id_(id),
      options_(std::move(options)),
      place_(id, options_.cursor),
      watcher_(process()->hub(), process()->retries(), process()->events(),
               core::Callback<Result<const core::EventPage *>>::to<&EventStream::got>(this)) {
  process()->enrol(*this);
}

ngx_int_t EventStream::start() {
  ngx::bind(r_, this);
  began_ms_ = process()->now_ms();
  reading_.emplace(Gauge::reads);
  if (!(r_->method & NGX_HTTP_HEAD))
    watcher_.listen(id_);  // register first, read second
  place_.aim(process()->timeline());
  watcher_.need().id = id_;
  watcher_.need().after = place_.after();
  watcher_.look();
  return hold();
}

void EventStream::got(Result<const core::EventPage *> page) {
  if (!page) {
    if (!open_)
      end_with_retry();
    return;  // an open stream sits out what may be a restart
  }
  const core::EventPage *found = *page;
  auto owner = owner_of(r_);
  if (found == nullptr || (owner && found->owner != *owner)) {
    if (open_)
      end();
    else
      finish(send_error(r_, {Code::not_found, "no such job"}));
    return;
  }
  reading_.reset();
  facts(r_).state = core::state_name(found->state);
  auto fit = place_.fit(*found, process()->timeline());
  watcher_.need().after = place_.after();
  if (fit == core::Place::Fit::elsewhere) {
    watcher_.restart();
    return;
  }
  if (!open_ && !begin(*found, fit))
    return;
  if (fit == core::Place::Fit::lost)
    send_reset(found->state);
  send_events(*found);
  if (core::is_ending(found->state) && place_.after() >= found->last_seq) {
    end();
    return;
  }
  watcher_.seen(place_.after(), found->last_seq);
  write();
}

/// Sends the header and the primer. False: the request was answered otherwise.
bool EventStream::begin(const core::EventPage &page, core::Place::Fit fit) {
  if (fit == core::Place::Fit::here && place_.came_after_the_end(page)) {
    add_header(r_, "Cache-Control", "no-store");
    finish(send_empty(r_, 204));  // nothing will ever come: stops EventSource
    return false;
  }
  if (!send_head())
    return false;
  if (fit == core::Place::Fit::here)
    push("ready", state_data(place_.cursor(), page.state));
  return true;
}

/// What was missed cannot be told: says so, with where the job stands now.
void EventStream::send_reset(core::State state) {
  process()->counters().count(Counter::resets);
  push("reset", state_data(place_.cursor(), state));
}

bool EventStream::send_head() {
  r_->headers_out.status = NGX_HTTP_OK;
  r_->headers_out.content_type = ngx::borrow("text/event-stream");
  r_->headers_out.content_type_len = r_->headers_out.content_type.len;
  r_->headers_out.content_length_n = -1;
  r_->disable_not_modified = 1;
  add_header(r_, "Cache-Control", "no-store");
  add_header(r_, "X-Accel-Buffering", "no");
  add_header(r_, "Vary", "Accept");
  ngx_int_t rc = ngx_http_send_header(r_);
  if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
    finish(rc);
    return false;
  }
  open_ = true;
  r_->write_event_handler = on_writable;
  out_.push(Bytes(wire::sse_retry(retry_ms(r_))));
  beat();
  return true;
}

bool EventStream::is_full() const { return out_.pending() > settings(r_).max_buffered; }

/// As many as the client has room for; the rest is read again when it has caught up.
void EventStream::send_events(const core::EventPage &page) {
  auto value_max = static_cast<std::int64_t>(settings(r_).value_max);
  if (place_.after() == 0 && place_.take(1)) {  // the job's own row is event 1
    core::Event first = core::first_event(page);
    push(first.type, wire::encode_event(page, first, value_max));
  }
  for (const core::Event &event : page.events) {
    if (event.seq <= place_.after())
      continue;  // it shares a page with somebody who has read less
    if (is_full() || !place_.take(event.seq))
      break;
    if (event.json.empty())
      event.json = Bytes(wire::encode_event(page, event, value_max));
    push(event.type, event.json.view());
  }
  watcher_.need().after = place_.after();
  if (is_full() && !watcher_.paused()) {
    process()->counters().count(Counter::paused);
    watcher_.pause();
  }
}

void EventStream::push(std::string_view type, std::string_view data) {
  out_.push(Bytes(wire::sse_frame(place_.cursor(), options_.names ? type : std::string_view(), data)));
}

void EventStream::beat() {
  process()->wheel().put(*this, std::max<std::size_t>(1, settings(r_).ping / 1000));
}

void EventStream::due() noexcept {
  ngx::guarded(r_->connection->log, [this] {
    beat();
    if (out_.pending() == 0) {  // a client that does not read gets no heartbeats on top
      out_.push(options_.visible_beat ? Bytes(wire::sse_frame("", "beat", "{}")) : Bytes(wire::kSseComment));
      write();
    }
  });
}

void EventStream::write() {
  ngx_int_t rc = out_.flush();
  buffered_.set(static_cast<std::int64_t>(out_.pending()));
  if (rc == NGX_ERROR) {
    finish(NGX_ERROR);
    return;
  }
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r_, ngx_http_core_module));
  ngx_event_t *event = r_->connection->write;
  if (out_.pending() == 0 && event->timer_set) {
    ngx_del_timer(event);
  } else if (out_.pending() > 0 && !event->timer_set) {
    ngx_add_timer(event, core->send_timeout);
  }
  if (ngx_handle_write_event(event, core->send_lowat) != NGX_OK) {
    finish(NGX_ERROR);
    return;
  }
  if (ended_) {
    if (out_.pending() == 0)
      finish(ngx_http_send_special(r_, NGX_HTTP_LAST));
    return;
  }
  if (!is_full())
    watcher_.resume();
}

void EventStream::on_writable(ngx_http_request_t *r) {
  auto *self = ngx::bound<EventStream>(r);
  if (r->connection->write->timedout) {
    r->connection->timedout = 1;
    self->finish(NGX_HTTP_REQUEST_TIME_OUT);
    return;
  }
  ngx::guarded(r->connection->log, [self] { self->write(); });
}

/// PostgreSQL is away before anything was sent: any status but 200 would stop EventSource for good.
void EventStream::end_with_retry() {
  if (send_head())
    end();
}

void EventStream::drain() {
  if (ended_)
    return;
  if (open_)
    end();  // the client comes back after `retry`, spread over that time, and goes on at its cursor
  else
    end_with_retry();
}

void EventStream::end() {
  ended_ = true;
  facts(r_).held_ms = process()->now_ms() - began_ms_;
  leave();
  write();
}

void EventStream::leave() {
  core::Spoke::unlink();
  watcher_.leave();
  reading_.reset();
}

}  // namespace await::http
