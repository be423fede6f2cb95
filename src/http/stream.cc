#include "http/stream.h"

#include "core/cursor.h"
#include "http/facts.h"
#include "http/respond.h"
#include "ngx/bind.h"
#include "ngx/guard.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "wire/channel.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

std::string state_data(std::string_view cursor, std::string_view state) {
  wire::JsonWriter data;
  data.text("cursor", cursor);
  data.text("state", state);
  return data.take();
}

}  // namespace

EventStream::EventStream(ngx_http_request_t *r, const wire::Channel &what, const wire::Shape &shape,
                         StreamOptions options)
    : Held(r),
      settings_(settings(r)),
      shape_(shape),
      place_(what.id, std::move(options.cursor), what.name),
      watcher_(process()->events(what.id),
               core::Callback<Result<const core::EventPage *>>::to<&EventStream::got>(this)),
      expires_ms_(process()->ms_at(facts(r).expires_s)),
      names_(options.names),
      visible_beat_(options.visible_beat),
      linger_(options.linger) {
  watcher_.need().id = what.id;
  if (what.kind() == core::Kind::topic)
    topic_ = std::make_unique<wire::Channel>(what);
  known_ = what.kind() != core::Kind::job;  // whose it is was asked before
  watcher_.trust(settings_.hints == kSigned);
  process()->enrol(*this);
}

ngx_int_t EventStream::start() {
  ngx::bind(r_, this);
  out_ = ngx::make<ngx::Outgoing>(r_->pool, r_);
  began_ms_ = process()->now_ms();
  reading_.set(1);
  if (!(r_->method & NGX_HTTP_HEAD))
    watcher_.listen(watcher_.need().id);  // register first, read second
  place_.aim(process()->timeline());
  place_.seek(watcher_.need());
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
  core::EventPage none;
  if (found == nullptr && topic_)
    found = &(none = wire::silent(*topic_));
  auto owner = known_ ? std::nullopt : owner_of(r_);  // whose job it is never changes
  if (found == nullptr || (owner && found->owner != *owner)) {
    if (open_)
      end();
    else
      finish(send_error(r_, {Code::not_found, "no such job"}));
    return;
  }
  known_ = true;
  reading_.set(0);
  state_ = found->state;
  auto fit = place_.fit(*found, process()->timeline());
  place_.seek(watcher_.need());
  if (fit == core::Place::Fit::elsewhere) {
    watcher_.restart();
    return;
  }
  if (!open_ && !begin(*found, fit))
    return;
  if (fit == core::Place::Fit::lost)
    send_reset(*found);
  send_events(*found);
  if (core::is_ending(found->state) && place_.after() >= found->last_seq && !linger_) {
    if (behind_)
      push_frame("ready", state_data(place_.cursor(), wire::standing(*found)));
    end();
    return;
  }
  auto [seen, last] = place_.standing(*found);
  watcher_.seen(seen, last);
  write();
}

/// Sends the header and the primer. False: the request was answered otherwise.
bool EventStream::begin(const core::EventPage &page, core::Place::Fit fit) {
  if (fit == core::Place::Fit::here && place_.came_after_the_end(page) && !linger_) {
    add_header(r_, "Cache-Control", "no-store");
    finish(send_empty(r_, 204));  // nothing will ever come: stops EventSource
    return false;
  }
  if (!send_head())
    return false;
  if (fit == core::Place::Fit::here)
    push_frame("ready", state_data(place_.cursor(), wire::standing(page)));
  return true;
}

/// What was missed cannot be told: says so, with where the job stands now.
void EventStream::send_reset(const core::EventPage &page) {
  process()->counters().count(Counter::resets);
  push_frame("reset", state_data(place_.cursor(), wire::standing(page)));
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
  if (r_->stream == nullptr && core_settings().tcp_nodelay)
    ngx_tcp_nodelay(r_->connection);  // an event must not wait for the acknowledgement of the one before
  r_->write_event_handler = on_writable;
  push(wire::sse_retry(retry_ms(settings_)));
  beat();
  return true;
}

/// As many as the client has room for; the rest is read again when it has caught up.
void EventStream::send_events(const core::EventPage &page) {
  bool whole =
      out_ == nullptr && backlog_.pending() == 0 && place_.takes_whole(page, settings_.max_buffered / 2);
  if (whole) {
    give(wire::page_frame(page, place_, style(), shape_));  // which has taken all of them
  } else {
    place_.advance(
        page, [this] { return !is_full(); },
        [&](const core::Event &event) { give(wire::event_frame(page, event, place_, style(), shape_)); });
  }
  place_.seek(watcher_.need());
  if (is_full() && !watcher_.paused()) {
    process()->counters().count(Counter::paused);
    watcher_.pause();
  }
}

void EventStream::give(const Bytes &frame) {
  behind_ = frame.empty();
  if (behind_)
    return;  // not shown
  if (out_ != nullptr)
    out_->push(frame);
  else
    backlog_.push(frame);
}

void EventStream::push_frame(std::string_view type, std::string_view data) {
  push(wire::sse_frame(place_.cursor(), names_ ? type : std::string_view(), data));
}

void EventStream::push(std::string_view text) {
  if (out_ != nullptr)
    out_->push(Bytes(text));
  else
    backlog_.push(Bytes(chunked() ? wire::chunk(text) : std::string(text)));
}

void EventStream::beat() { process()->wheel().put(*this, process()->ticks_to(settings_.ping, expires_ms_)); }

void EventStream::due() noexcept {
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

void EventStream::on_parked_writable() {
  ngx_connection_t *c = connection();
  if (c->write->timedout) {
    c->timedout = 1;
    if (revive())
      finish(NGX_HTTP_REQUEST_TIME_OUT);
    return;
  }
  if (pending() > 0 || c->buffered != 0)
    write();
}

void EventStream::write() {
  if (out_ == nullptr) {
    ngx_int_t rc = backlog_.flush(connection());
    if (!wrote(rc, backlog_.pending()))
      return;
    if (!ended_)
      return;
    if (rc == NGX_OK && revive())
      finish(NGX_OK);
    return;
  }
  if (!wrote(out_->flush(), out_->pending()))
    return;
  if (!ended_)
    rest();
  else if (out_->pending() == 0)
    finish(ngx_http_send_special(r_, NGX_HTTP_LAST));
}

/// What is done after every write. False: the client is gone, and this with it.
bool EventStream::wrote(ngx_int_t rc, std::size_t pending) {
  ngx_connection_t *c = connection();
  const auto &conf = core_settings();
  buffered_.set(static_cast<std::int64_t>(pending));
  ngx_event_t *event = c->write;
  bool whole = parked() ? rc == NGX_OK : pending == 0;
  if (whole && event->timer_set) {
    ngx_del_timer(event);
  } else if (!whole && rc != NGX_ERROR && !event->timer_set) {
    ngx_add_timer(event, conf.send_timeout);
  }
  if (rc == NGX_ERROR || ngx_handle_write_event(event, conf.send_lowat) != NGX_OK) {
    c->error = 1;
    if (revive())
      finish(NGX_ERROR);
    return false;
  }
  if (!ended_ && !is_full())
    watcher_.resume();
  return true;
}

/// All is written: the connection alone will do.
void EventStream::rest() {
  if (!settings_.park || out_->pending() > 0)
    return;
  if (!park())
    return;
  out_ = nullptr;  // it went with the request
  process()->counters().add(Gauge::parked, 1);
}

void EventStream::revived() {
  process()->counters().add(Gauge::parked, -1);
  if (core::kind_of(watcher_.need().id) == core::Kind::job)
    facts(r_).id = watcher_.need().id.text();
  facts(r_).delivery = "sse";
  facts(r_).state = core::state_name(state_);
  facts(r_).held_ms = process()->now_ms() - began_ms_;
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

void EventStream::give_up() {
  if (revive())
    finish(NGX_ERROR);
}

void EventStream::end() {
  ended_ = true;
  leave();
  if (parked() && chunked())
    backlog_.push(process()->last_chunk());
  if (!parked()) {
    facts(r_).state = core::state_name(state_);
    facts(r_).held_ms = process()->now_ms() - began_ms_;
  }
  write();
}

void EventStream::leave() {
  core::Spoke::unlink();
  watcher_.leave();
  reading_.set(0);
}

}  // namespace await::http
