#include "http/live/sse_stream.h"

#include <utility>

#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/live/counted_subscription.h"
#include "http/runtime/held_request.h"
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
    : SseConnection(r, runtime, encoding, options.visible_beat),
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
  begin_output();
  Answer held = hold();
  begin();
  return held;
}

void SseStream::take_over() {
  request_info(r_).delivery = "sse";
  begin_output();
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

void SseStream::leave() {
  SseConnection::leave();
  subscriptions_.leave();
  reading_.set(0);
}

}  // namespace await::http
