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

ngx_int_t EventStream::start() {
  ngx::bind(r_, this);
  began_ms_ = process()->now_ms();
  if (!(r_->method & NGX_HTTP_HEAD))
    process()->hub().listen(id_, *this);  // register first, read second
  process()->enrol(*this);
  need_.id = id_;
  // a cursor that says nothing here reads from the start and is answered with a reset
  need_.after = core::decode_cursor(options_.cursor, process()->timeline(), id_).value_or(0);
  apply(follow_.look());
  return hold();
}

void EventStream::changed(int seq) noexcept { apply(seq == 0 ? follow_.look() : follow_.told(seq)); }

void EventStream::apply(core::Follow::Action action) {
  if (action.what == core::Follow::Action::read) {
    if (ended_)
      return;
    if (open_ && out_.pending() > kHighWater)
      paused_ = true;  // the truth waits in PostgreSQL, not in our memory
    else
      process()->events().add(need_);
  } else if (action.what == core::Follow::Action::retry) {
    set_timer(action.delay_ms);
  }
}

void EventStream::on_time() { apply(follow_.look()); }

void EventStream::got(Result<const core::EventPage *> page) {
  if (!page) {
    follow_.failed();
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
  facts(r_).state = core::state_name(found->state);
  if (!open_ && (!placed(*found) || !begin(*found)))
    return;
  send_events(*found);
  if (core::is_ending(found->state) && need_.after >= found->last_seq) {
    end();
    return;
  }
  write();
}

/// Whether the page begins where the cursor says. A cursor of this timeline could not be understood while
/// nginx did not know the timeline yet, in its first moments; then it is read again from the right place.
bool EventStream::placed(const core::EventPage &page) {
  auto known = core::decode_cursor(options_.cursor, process()->timeline(), id_);
  if (!known || *known == need_.after || *known > page.last_seq)
    return true;
  need_.after = *known;
  process()->events().add(need_);
  return false;
}

/// Sends the header and the primer. False: the request was answered otherwise.
bool EventStream::begin(const core::EventPage &page) {
  auto known = core::decode_cursor(options_.cursor, process()->timeline(), id_);
  bool honoured = options_.cursor.empty() || (known && *known <= page.last_seq);
  if (honoured && core::is_ending(page.state) && known && *known == page.last_seq) {
    add_header(r_, "Cache-Control", "no-store");
    finish(send_empty(r_, 204));  // nothing will ever come: stops EventSource
    return false;
  }
  if (!send_head())
    return false;
  if (!honoured) {
    // what was missed cannot be told: say so, with where the job stands now
    need_.after = page.last_seq;
    push(page.last_seq, "reset", state_data(cursor(page.last_seq), page.state));
  } else {
    push(need_.after, "ready", state_data(cursor(need_.after), page.state));
  }
  return true;
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
  const Settings &location = settings(r_);
  auto spread = static_cast<double>(location.retry_max - location.retry_min);
  out_.push(Bytes(wire::sse_retry(static_cast<std::int64_t>(location.retry_min) +
                                  static_cast<std::int64_t>(spread * process()->random().unit()))));
  beat();
  return true;
}

void EventStream::send_events(const core::EventPage &page) {
  auto value_max = static_cast<std::int64_t>(settings(r_).value_max);
  if (need_.after < 1 && page.last_seq >= 1) {  // the job's own row is event 1
    core::Event first = core::first_event(page);
    push(1, first.type, wire::encode_event(page, first, value_max));
    need_.after = 1;
  }
  for (const core::Event &event : page.events) {
    if (event.seq <= need_.after)
      continue;
    if (event.json.empty())
      event.json = Bytes(wire::encode_event(page, event, value_max));
    push(event.seq, event.type, event.json.view());
    need_.after = event.seq;
  }
  apply(follow_.got(need_.after, page.last_seq));
}

void EventStream::push(int seq, std::string_view type, std::string_view data) {
  out_.push(Bytes(wire::sse_frame(cursor(seq), options_.names ? type : std::string_view(), data)));
}

std::string EventStream::cursor(int seq) const {
  return core::encode_cursor(process()->timeline(), id_, seq);
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
  if (rc == NGX_ERROR) {
    finish(NGX_ERROR);
    return;
  }
  ngx_event_t *event = r_->connection->write;
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r_, ngx_http_core_module));
  if (out_.pending() > 0) {
    if (!event->timer_set) {
      ngx_add_timer(event, core->send_timeout);
    }
  } else if (event->timer_set) {
    ngx_del_timer(event);
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
  if (paused_ && out_.pending() <= kHighWater) {
    paused_ = false;
    process()->events().add(need_);
  }
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
  if (listening())
    process()->hub().leave(*this);
  need_.unlink();
}

}  // namespace await::http
