#include "http/live/sse_stream.h"

#include <utility>

#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/live/counted_subscription.h"
#include "http/runtime/held_request.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "ngx/tls.h"
#include "wire/channel.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

/// @param type  ready or reset; also in the data, because ?names=off leaves out `event:`
/// @param channel  empty if the stream has only one
std::string state_data(std::string_view type, std::string_view cursor, std::string_view state,
                       std::string_view channel = {}) {
  wire::JsonWriter data;
  data.text("type", type);
  if (!channel.empty())
    data.text("channel", channel);
  data.text("cursor", cursor);
  data.text("state", state);
  return data.take();
}

std::string_view standing(const core::MultiSubscription::Part &part) {
  return part.gone ? "gone" : wire::standing(part.kind(), part.state);
}

std::string_view standing(const core::MultiSubscription &subscriptions) {
  return subscriptions.is_alone() ? standing(subscriptions.first()) : wire::kLive;
}

}  // namespace

StreamOptions stream_options(ngx_http_request_t *r, std::string cursor) {
  return {.cursor = std::move(cursor),
          .names = argument(r, "names").value_or("") != "off",
          .visible_beat = argument(r, "beat").value_or("") == "1"};
}

SseStream::SseStream(ngx_http_request_t *r, Runtime &runtime, const std::vector<wire::Channel> &channels,
                     const wire::EventEncoding &encoding, const StreamOptions &options)
    : LiveConnection(r, runtime, encoding, options.visible_beat),
      subscriptions_(*this, runtime_.event_services(channels.front().id),
                     source_of(conf_, channels.front(), options.cursor)),
      names_(options.names),
      linger_(options.linger) {
  for (auto at = channels.begin() + 1; at != channels.end(); ++at)
    subscriptions_.add(runtime_.event_services(at->id), source_of(conf_, *at, options.cursor));
  reading_.set(static_cast<std::int64_t>(channels.size()));
  register_held();
}

Answer SseStream::start() {
  bind_request();
  out_ = ngx::make<ngx::FilterOutput>(r_->pool, r_);
  Answer held = hold();
  begin();
  return held;
}

void SseStream::take_over() {
  request_info(r_).delivery = "sse";
  bind_request();
  out_ = ngx::make<ngx::FilterOutput>(r_->pool, r_);
  begin();
}

void SseStream::begin() {
  subscriptions_.start((r_->method & NGX_HTTP_HEAD) == 0, !linger_,
                       [this](const core::MultiSubscription::Part &part) {
                         return core::ends(part.kind()) && runtime_.backends().past_retention(part.id());
                       });
}

std::optional<std::string_view> SseStream::owner() const { return owner_of(r_); }

void SseStream::on_error(const Error &error) {
  if (error.code == Code::not_found)
    finish(send_error(r_, error));  // usually destroys this
  else
    end_with_retry();
}

/// Sends the header and the first frames. False: the request was ended, and this usually destroyed.
bool SseStream::on_ready() {
  reading_.set(0);
  if (!linger_ &&
      subscriptions_.all([this](const core::MultiSubscription::Part &part) { return part.knew; })) {
    add_header(r_, "Cache-Control", "no-store");
    finish(send_empty(r_, 204));  // no event will ever come: 204 stops EventSource
    return false;
  }
  if (!send_head())
    return false;
  if (!subscriptions_.is_alone() || !subscriptions_.first().lost)
    push_state("ready", standing(subscriptions_));
  return true;
}

void SseStream::on_gap(core::MultiSubscription::Part &part) {
  runtime_.counters().count(Counter::resets);
  push_state("reset", standing(part), subscriptions_.is_alone() ? std::string() : part.channel());
}

void SseStream::on_events(core::MultiSubscription::Part &part, const core::EventPage &page) {
  deliver(part, page);
}

void SseStream::on_end() {
  if (behind_)
    push_state("ready", standing(subscriptions_));
  end();
}

/// Sends the header. False: that has ended the request, and usually destroyed this.
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
  handle_writable();
  schedule_heartbeat();
  return true;
}

void SseStream::push_page(const core::EventPage &page, core::Position &position) {
  push_shared(wire::page_frame(page, position, style(), encoding_));
}

void SseStream::push_event(const core::Subscription &subscription, const core::EventPage &page,
                           const core::Event &event) {
  if (subscriptions_.is_alone()) {
    push_shared(wire::event_frame(page, event, subscription.position(), style(), encoding_));
    return;
  }
  std::string frame = wire::mixed_frame(page, event, subscriptions_.cursor(), names_, encoding_);
  behind_ = frame.empty();
  if (!behind_)
    push(frame);
}

/// @param frame  empty if the format hides the events
void SseStream::push_shared(const Bytes &frame) {
  behind_ = frame.empty();
  if (!behind_)
    push_bytes(frame);
}

/// `ready` or `reset`. The first of them begins the stream, and sets the client's time to reconnect.
void SseStream::push_state(std::string_view type, std::string_view state, std::string_view channel) {
  behind_ = false;
  std::string cursor = subscriptions_.cursor();
  std::string retry = std::exchange(opened_, true) ? "" : wire::sse_retry(retry_ms(conf_, runtime_.random()));
  push(retry +
       wire::sse_frame(cursor, names_ ? type : std::string_view(), state_data(type, cursor, state, channel)));
}

/// nginx's filters make chunks of what goes through them.
void SseStream::push(std::string_view text) {
  push_bytes(Bytes(style().chunked ? wire::chunk(text) : std::string(text)));
}

/// @param bytes  in the style of style()
void SseStream::push_bytes(const Bytes &bytes) {
  if (out_ != nullptr)
    out_->push(bytes);
  else
    queue_.push(bytes);
}

void SseStream::push_heartbeat() {
  push_bytes(runtime_.heartbeats().sse_beat(visible_beat_, style().chunked));
}

SseStream::Written SseStream::send() {
  if (out_ == nullptr) {
    ngx_int_t rc = queue_.flush(connection());
    return {rc == NGX_ERROR, rc == NGX_AGAIN, rc == NGX_OK};
  }
  ngx_int_t rc = out_->flush();
  // what a filter holds back for other reasons (gzip) does not wait for the client
  bool waits = out_->pending() > 0 || ngx::is_write_buffered(r_);
  if (rc != NGX_ERROR && !waits && !ended_)
    ngx::release_tls_buffer(r_);
  return {rc == NGX_ERROR, waits, out_->pending() == 0};
}

void SseStream::finish_response() {
  if (out_ == nullptr)
    LiveConnection::finish_response();
  else
    finish(Answer::sent(ngx_http_send_special(r_, NGX_HTTP_LAST)));  // usually destroys this
}

Answer SseStream::lost_answer(bool timed_out) const {
  return timed_out ? Answer::timed_out() : Answer::cut();
}

void SseStream::on_room() {
  paused_ = false;
  subscriptions_.resume();
}

void SseStream::restore_info(RequestInfo &info) {
  subscriptions_.each([&info](core::MultiSubscription::Part &part) {
    if (core::ends(part.kind()))
      info.id = part.id().text();
  });
  info.delivery = "sse";
  info.state = core::state_name(subscriptions_.first().state);
}

/// The database is not available before anything was sent. Any status but 200 would stop EventSource for
/// good. May destroy this.
void SseStream::end_with_retry() {
  if (!send_head())
    return;
  push(wire::sse_retry(retry_ms(conf_, runtime_.random())));
  end();
}

void SseStream::drain() {
  if (closing_)
    return;
  if (sent_)
    end();  // the clients return after `retry`, spread over that time, and continue at their cursors
  else
    end_with_retry();
}

/// Ends the stream once everything is written. May destroy this.
void SseStream::end() {
  closing_ = ended_ = true;
  leave();
  if (parked() && chunked())
    queue_.push(runtime_.heartbeats().last_chunk());
  if (!parked()) {
    RequestInfo &info = request_info(r_);
    info.state = core::state_name(subscriptions_.first().state);
    info.held_ms = held_ms();
  }
  write();
}

void SseStream::leave() {
  LiveConnection::leave();
  subscriptions_.leave();
  reading_.set(0);
}

}  // namespace await::http
