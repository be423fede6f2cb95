#include "http/live/websocket.h"

#include <algorithm>

#include "http/exchange/channels.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "ngx/bind.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/channel.h"
#include "wire/socket_protocol.h"

namespace await::http {
namespace {

constexpr char kNoJob[] = "There is no such job.";
constexpr char kNoChannel[] = "There is no such channel.";
constexpr std::size_t kRead = 16384;       // at once
constexpr std::size_t kTurnBytes = 65536;  // of a client, then others have their turn
constexpr std::uint32_t kTurnMessages = 64;
constexpr std::size_t kSlice = 512;      // of what was read: how far past kTurnMessages it may go
constexpr std::int64_t kRefusalMs = 10;  // what a refused message costs of the client's time: 100 a second
constexpr std::int64_t kLogMs = 1000;    // between two lines about one socket
constexpr std::uint8_t kMostSilent = 2;  // pings without an answer
constexpr std::size_t kCloseTicks = 3;   // seconds for the client's close frame

}  // namespace

Socket::Socket(ngx_http_request_t *r, SocketOptions options)
    : Held(r),
      conf_(location_conf(r)),
      shape_(*options.shape),
      expires_ms_(process()->ms_at(facts(r).expires_s)),
      began_ms_(process()->now_ms()),
      plain_(options.plain),
      visible_beat_(options.visible_beat) {
  if (auto owner = owner_of(r))
    owner_ = std::make_unique<std::string>(*owner);
  if (const auto &only = facts(r).ticket_channels)
    only_ = std::make_unique<std::vector<std::string>>(*only);
  process()->register_held(*this);
}

Socket::~Socket() = default;

Answer Socket::start(std::string_view key, bool subprotocol, const std::vector<std::string> &channels,
                     const std::string &cursor) {
  ngx::bind(r_, this);
  r_->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
  r_->headers_out.status_line = ngx::borrow("101 Switching Protocols");
  r_->headers_out.content_length_n = -1;
  r_->keepalive = 0;
  r_->disable_not_modified = 1;
  add_header(r_, "Upgrade", "websocket");
  add_header(r_, "Sec-WebSocket-Accept", wire::websocket_accept(key));
  if (subprotocol)
    add_header(r_, "Sec-WebSocket-Protocol", "await.v1");
  ngx_int_t rc = send_head(r_);
  if (rc == NGX_ERROR || rc > NGX_OK)
    return decline(Answer::sent(rc));
  if (ngx_http_send_special(r_, NGX_HTTP_FLUSH) == NGX_ERROR)
    return decline(Answer::cut());
  if (core_conf().tcp_nodelay)
    ngx_tcp_nodelay(r_->connection);
  process()->wheel().put(*this, process()->ticks_to(conf_.ping_socket, expires_ms_));
  Answer held = hold();
  r_->read_event_handler = on_readable;
  r_->write_event_handler = on_writable;
  // what a hasty client has sent behind its request
  ngx_buf_t *rest = r_->header_in;
  std::string early(reinterpret_cast<char *>(rest->pos), static_cast<std::size_t>(rest->last - rest->pos));
  rest->pos = rest->last;
  for (const std::string &channel : channels) {
    if (!closing_)
      subscribe(channel, cursor);
  }
  if (!early.empty()) {
    messages_ = 0;
    take(early);
    read_on();
  }
  write_soon();
  return held;
}

void Socket::subscribe(std::string_view channel, std::string cursor) {
  auto what = wire::parse_channel(channel);
  bool theirs = what && is_theirs(*what, owner_ ? std::optional<std::string_view>(*owner_) : std::nullopt) &&
                is_admitted(only_.get(), channel);
  if (!theirs || (what->kind() == core::Kind::job && process()->past_retention(what->id))) {
    refuse(channel, 404, channel.starts_with("job:") ? kNoJob : kNoChannel);
    return;
  }
  bool twice = std::any_of(subscriptions_.begin(), subscriptions_.end(),
                           [&](auto &one) { return one->id() == what->id; });
  if (twice) {
    refuse(channel, 409, "Already subscribed to this channel.");
  } else if (subscriptions_.size() >= static_cast<std::size_t>(conf_.max_channels)) {
    refuse(channel, 429, "Too many channels on this WebSocket.");
  } else if (process()->hub().listeners() >= static_cast<std::size_t>(conf_.max_held)) {
    process()->counters().count(Counter::refused_held);
    refuse(channel, 503, "Too many subscriptions on this server; retry later.");
  } else if (process()->counters().of(Gauge::reads) >= conf_.max_inflight) {
    process()->counters().count(Counter::refused_reads);
    refuse(channel, 503, "Too many requests are waiting for the database; retry later.");
  } else {
    subscriptions_.push_back(std::make_unique<Entry>(*this, *what, std::move(cursor)));
    if (paused_)
      subscriptions_.back()->pause();
    subscriptions_.back()->start(true);
  }
}

void Socket::unsubscribe(std::string_view channel) {
  auto what = wire::parse_channel(channel);
  auto at = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                         [&](auto &one) { return what && one->id() == what->id; });
  if (at == subscriptions_.end()) {
    refuse(channel, 404, "Not subscribed to this channel.");
    return;
  }
  subscriptions_.erase(at);
  say(wire::say_unsubscribed(channel));
}

void Socket::drop(core::Subscription &subscription) {
  std::erase_if(subscriptions_, [&](auto &one) { return one.get() == &subscription; });
}

std::optional<std::string_view> Socket::owner() const {
  return owner_ ? std::optional<std::string_view>(*owner_) : std::nullopt;
}

void Socket::on_error(core::Subscription &subscription, const Error &error) {
  if (error.code != Code::not_found)
    return;  // it is tried again
  std::string name = subscription.channel();
  drop(subscription);
  refuse(name, 404, kNoJob);
}

void Socket::on_page(core::Subscription &subscription, const core::EventPage &page, bool lost) {
  core::Position &place = subscription.place();
  auto &entry = static_cast<Entry &>(subscription);
  entry.reading.set(0);
  if (!std::exchange(entry.confirmed, true) && !plain_)
    say(wire::say_subscribed(subscription.channel(), place.cursor(), wire::standing(page)));
  if (lost) {
    process()->counters().count(Counter::resets);
    if (plain_) {
      close(wire::kRestart, "Events were missed and cannot be replayed; start over.");
      return;  // which has destroyed the subscription
    }
    say(wire::say_reset(subscription.channel(), place.cursor(), wire::standing(page)));
  }
  give(subscription, page);
  if (place.is_at_the_end(page))
    drop(subscription);  // nothing will ever come
  else
    subscription.next(page);
  if (subscriptions_.size() > 1)
    write_soon();  // others may have something to say in this round
  else
    write();
}

/// As many as the client has room for; the rest is read again when it has caught up.
void Socket::give(core::Subscription &subscription, const core::EventPage &page) {
  core::Position &place = subscription.place();
  if (backlog_.pending() == 0 && place.takes_whole(page, conf_.max_buffered / 2)) {
    push(wire::socket_frames(page, place, shape_));  // which has taken all of them
  } else {
    place.advance(
        page, [this] { return !is_full(); },
        [&](const core::Event &event) { push(wire::socket_frame(page, event, place, shape_)); });
  }
  if (is_full() && !subscription.paused()) {
    if (!std::exchange(paused_, true))
      process()->counters().count(Counter::paused);
    subscription.pause();
  }
}

/// The client is told by a message or a close code, the access log knows only of the upgrade. One line a
/// second: refusals cost the client little, and the disk must not pay.
void Socket::log_refusal(int status, const char *why) {
  std::int64_t now = process()->now_ms();
  if (now < log_after_ms_) {
    ++unlogged_;
    return;
  }
  log_after_ms_ = now + kLogMs;
  std::uint32_t more = std::exchange(unlogged_, 0);
  std::string also = more > 0 ? " (" + std::to_string(more) + " more since the last line)" : "";
  ngx_log_error(NGX_LOG_INFO, connection()->log, 0, "await: WebSocket client rejected with %d: %s%s", status,
                why, also.c_str());
}

/// Whether the client may be refused once more: 100 times a second, and after a quiet time as often as an
/// honest one may come to it that renews all it had.
bool Socket::may_be_refused() {
  std::int64_t now = process()->now_ms();
  std::int64_t burst = std::max<std::int64_t>(200, 2 * conf_.max_channels);
  refused_until_ms_ = std::max(refused_until_ms_, now) + kRefusalMs;
  return refused_until_ms_ - now <= burst * kRefusalMs;
}

void Socket::refuse(std::string_view channel, int status, const char *detail) {
  log_refusal(status, detail);
  if (plain_)
    close(status == 404 ? wire::kNotFound : wire::kTryLater, detail);
  else if (may_be_refused())
    say(wire::say_error(channel, status, detail));
  else
    close(wire::kPolicy, "Too many rejected messages.");
  write_soon();
}

void Socket::text(std::string_view message) {
  ++messages_;
  if (plain_ || closing_)
    return;
  wire::Request request = wire::read_request(message);
  switch (request.op) {
    case wire::Request::subscribe:
      // a job and a user's channel are their owner's; a topic must be allowed
      if (request.channel.starts_with("topic:") && !is_allowed(conf_, request.channel))
        return refuse(request.channel, 404, kNoChannel);
      return subscribe(request.channel, std::move(request.cursor));
    case wire::Request::unsubscribe:
      return unsubscribe(request.channel);
    case wire::Request::ping:
      return push(process()->socket_beat());
    case wire::Request::malformed:
      return refuse("", 400, request.why);
  }
}

void Socket::binary() {
  ++messages_;
  if (closing_)
    return;
  log_refusal(wire::kUnsupported, "binary message");
  close(wire::kUnsupported, "Only text messages are supported.");
}

/// Takes what the client sends, as long as it takes what we send; a turn's worth of it, then others come
/// first.
void Socket::read() {
  ngx_connection_t *c = connection();
  if (c->close) {  // worker_shutdown_timeout
    gone();
    return;
  }
  static u_char buffer[kRead];
  messages_ = 0;
  if (auto unread = std::move(unread_))
    take(*unread);
  for (std::size_t got = 0; has_turn() && got < kTurnBytes;) {
    ssize_t n = c->recv(c, buffer, sizeof buffer);
    if (n == NGX_AGAIN)
      break;
    if (n <= 0) {
      gone();
      return;
    }
    silent_ = 0;
    got += static_cast<std::size_t>(n);
    take({reinterpret_cast<char *>(buffer), static_cast<std::size_t>(n)});
  }
  if (is_full())
    paused_ = true;
  if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
    gone();
    return;
  }
  read_on();
  write();
}

bool Socket::has_turn() const { return !over_ && !is_full() && messages_ < kTurnMessages; }

/// Takes them as far as the turn goes, and keeps the rest.
void Socket::take(std::string_view bytes) {
  while (!bytes.empty() && has_turn()) {
    feed(bytes.substr(0, kSlice));
    bytes.remove_prefix(std::min(bytes.size(), kSlice));
  }
  if (!bytes.empty() && !over_)
    unread_ = std::make_unique<std::string>(bytes);
  unfinished_.set(static_cast<std::int64_t>(reader_.held() + (unread_ ? unread_->size() : 0)));
}

void Socket::feed(std::string_view bytes) {
  auto closed = reader_.feed(bytes, conf_.max_frame, *this);
  if (!closed)
    return;
  if (*closed != 0)
    log_refusal(*closed, "invalid frame, or message longer than await_max_frame");
  over();
}

/// Comes back to what the turn has left, after everybody else's events.
void Socket::read_on() {
  ngx_event_t *event = connection()->read;
  if ((unread_ || event->ready) && !over_ && !is_full()) {
    ngx_post_event(event, &ngx_posted_next_events);
  }
}

void Socket::reply(std::string_view frames) {
  if (!closing_)
    push(Bytes(frames));
}

void Socket::say(std::string_view text) {
  if (!plain_ && !closing_)
    push(Bytes(wire::websocket_text(text)));
}

void Socket::write_soon() { process()->flush_soon(*this); }

void Socket::flush() noexcept {
  ngx::guarded(connection()->log, [this] { write(); });
}

/// May be the end of this.
void Socket::write() {
  ngx_connection_t *c = connection();
  if (r_ != nullptr && r_->out != nullptr && ngx_http_output_filter(r_, nullptr) == NGX_ERROR) {
    gone();
    return;
  }
  bool head_out = r_ == nullptr || (r_->out == nullptr && !c->write->delayed);
  ngx_int_t rc = head_out ? backlog_.flush(c) : NGX_AGAIN;
  buffered_.set(static_cast<std::int64_t>(backlog_.pending()));
  if (rc == NGX_ERROR || timer_.after_write(writer(), rc == NGX_AGAIN) != NGX_OK) {
    gone();
    return;
  }
  if (over_ && rc == NGX_OK) {
    if (revive())
      finish(Answer::sent(NGX_OK));
    return;
  }
  if (paused_ && !is_full()) {
    paused_ = false;
    for (auto &subscription : subscriptions_)
      subscription->resume();
    read_on();
  }
  if (rc == NGX_OK)
    rest();
}

/// All is written: the connection alone will do.
void Socket::rest() {
  if (r_ == nullptr || !conf_.park || closing_ || !park())
    return;
  process()->counters().add(Gauge::parked, 1);
}

void Socket::on_revive() {
  process()->counters().add(Gauge::parked, -1);
  facts(r_).delivery = "socket";
  facts(r_).held_ms = process()->now_ms() - began_ms_;
}

void Socket::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    if (closing_ || silent_ >= kMostSilent) {  // it does not answer
      gone();
      return;
    }
    if (expires_ms_ != 0 && process()->now_ms() >= expires_ms_) {
      close(wire::kUnauthenticated, "The token has expired.");
      return;
    }
    process()->wheel().put(*this, process()->ticks_to(conf_.ping_socket, expires_ms_));
    if (backlog_.pending() > 0)
      return;  // send_timeout is for those
    ++silent_;
    push(process()->socket_ping());
    if (visible_beat_)
      push(process()->socket_beat());
    write();
  });
}

void Socket::on_parked_writable() {
  ngx_connection_t *c = connection();
  if (c->write->timedout) {
    if (!timer_.expired(writer()))
      return;
    c->timedout = 1;
    gone();
    return;
  }
  if (backlog_.pending() > 0 || c->buffered != 0 || r_ != nullptr)
    write();
}

void Socket::on_readable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<Socket>(r);
  ngx::guarded(r->connection->log, [self] { self->read(); });
}

void Socket::on_writable(ngx_http_request_t *r) {
  auto *self = ngx::the_bound<Socket>(r);
  ngx::guarded(r->connection->log, [self] { self->on_parked_writable(); });
}

/// Says the last word; the client's close frame is waited for a little while.
void Socket::close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(closing_, true))
    return;
  subscriptions_.clear();
  push(Bytes(wire::websocket_close(code, reason)));
  process()->wheel().put(*this, kCloseTicks);
  write_soon();
}

/// Nothing more is read, nothing more is said.
void Socket::over() {
  closing_ = over_ = true;
  subscriptions_.clear();
  process()->wheel().put(*this, kCloseTicks);
  write_soon();
}

void Socket::gone() {
  connection()->error = 1;
  if (revive())
    finish(Answer::client_left());
}

void Socket::drain() {
  if (closing_)
    return;
  say(wire::say_bye(retry_ms(conf_)));
  close(wire::kRestart, "The server is restarting; reconnect.");
}

void Socket::revoke() { close(wire::kUnauthenticated, "The session was revoked."); }

void Socket::leave() {
  core::TimerEntry::unlink();
  Process::Flush::unlink();
  subscriptions_.clear();
}

}  // namespace await::http
