#include "http/live/websocket.h"

#include <algorithm>

#include "http/exchange/channels.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/live/job_wait.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/channel.h"
#include "wire/socket_protocol.h"

namespace await::http {
namespace {

constexpr std::size_t kRead = 16384;       // at once
constexpr std::size_t kTurnBytes = 65536;  // of a client, then others have their turn
constexpr std::uint32_t kTurnMessages = 64;
constexpr std::size_t kSlice = 512;  // of what was read: how far past kTurnMessages it may go
constexpr std::int64_t kRefusalMs =
    10;  // the time that a refused message costs the client: 100 messages a second
constexpr std::int64_t kLogMs = 1000;    // between two lines about one socket
constexpr std::uint8_t kMostSilent = 2;  // pings without an answer
constexpr std::size_t kCloseTicks = 3;   // seconds for the client's close frame

/// What is said of a channel of this name that does not exist for the client.
const char *absence_of(std::string_view name) {
  return core::absence(name.starts_with("job:")     ? core::Kind::job
                       : name.starts_with("batch:") ? core::Kind::batch
                                                    : core::Kind::topic);
}

}  // namespace

WebSocket::WebSocket(ngx_http_request_t *r, Runtime &runtime, const SocketOptions &options)
    : LiveConnection(r, runtime, *options.encoding, options.visible_beat), plain_(options.plain) {
  if (auto owner = owner_of(r))
    owner_ = std::make_unique<std::string>(*owner);
  if (const auto &ticket = request_info(r).ticket_channels)
    ticket_ = std::make_unique<std::vector<std::string>>(*ticket);
  register_held();
}

WebSocket::~WebSocket() = default;

Answer WebSocket::start(std::string_view key, bool subprotocol, const std::vector<std::string> &channels,
                        const std::string &cursor) {
  bind_request();
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
  schedule_heartbeat();
  Answer held = hold();
  handle_readable();
  handle_writable();
  // frames that the client has sent directly behind its request
  ngx_buf_t *rest = r_->header_in;
  std::string early(reinterpret_cast<char *>(rest->pos), static_cast<std::size_t>(rest->last - rest->pos));
  rest->pos = rest->last;
  for (const std::string &channel : channels) {
    if (!closing_)
      subscribe(channel, cursor, NamedBy::location);  // see channel_of()
  }
  if (!early.empty()) {
    messages_ = 0;
    take(early);
    read_on();
  }
  write_soon();
  return held;
}

void WebSocket::subscribe(std::string_view name, std::string cursor, NamedBy by) {
  auto channel = authorized_channel({conf_, owner(), ticket_.get()}, name, by);
  if (!channel || (core::ends(channel->kind()) && runtime_.backends().past_retention(channel->id))) {
    refuse(name, 404, absence_of(name));
    return;
  }
  bool twice = std::any_of(subscriptions_.begin(), subscriptions_.end(),
                           [&](auto &one) { return one->id() == channel->id; });
  if (twice) {
    refuse(name, 409, "Already subscribed to this channel.");
  } else if (subscriptions_.size() >= static_cast<std::size_t>(conf_.max_channels)) {
    refuse(name, 429, "Too many channels on this WebSocket.");
  } else if (!has_room(conf_, runtime_)) {
    refuse(name, 503, "Too many subscriptions on this server; retry later.");
  } else if (has_too_many_reads(conf_, runtime_)) {
    refuse(name, 503, "Too many requests are waiting for the database; retry later.");
  } else {
    subscriptions_.push_back(std::make_unique<Entry>(*this, *channel, std::move(cursor)));
    if (paused_)
      subscriptions_.back()->pause();
    subscriptions_.back()->start(true);
  }
}

/// Null: there is none of this name, and the client is told.
WebSocket::Entry *WebSocket::find(std::string_view name) {
  auto channel = wire::parse_channel(name);
  auto at = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                         [&](auto &one) { return channel && one->id() == channel->id; });
  if (at != subscriptions_.end())
    return at->get();
  refuse(name, 404, "Not subscribed to this channel.");
  return nullptr;
}

void WebSocket::unsubscribe(std::string_view name) {
  Entry *entry = find(name);
  if (entry == nullptr)
    return;
  drop(*entry);
  send_text(wire::encode_unsubscribed(name));
}

/// A client that has another cursor has missed something. That of a user is a moment, which moves without
/// events, so it would say nothing.
void WebSocket::tell_position(std::string_view name) {
  Entry *entry = find(name);
  if (entry == nullptr)
    return;
  bool counts = entry->known() && entry->kind() != core::Kind::user;
  send_text(wire::encode_beat(name, counts ? entry->position().cursor() : ""));
}

/// Destroys the part.
void WebSocket::drop(const core::SubscriptionPart &part) {
  forget(part);
  std::erase_if(subscriptions_, [&](auto &one) { return one.get() == &part; });
}

std::optional<std::string_view> WebSocket::owner() const {
  return owner_ ? std::optional<std::string_view>(*owner_) : std::nullopt;
}

void WebSocket::on_failure(core::SubscriptionPart &part, const Error &error) {
  if (error.code != Code::not_found)
    return;  // the subscription tries again
  std::string name = part.channel();
  drop(part);
  refuse(name, 404, absence_of(name));
}

bool WebSocket::on_ready(core::SubscriptionPart &part, const core::EventPage &page) {
  static_cast<Entry &>(part).reading.set(0);
  if (!plain_)
    send_text(wire::encode_subscribed(part.channel(), part.position().cursor(), wire::standing(page)));
  return true;
}

/// False: the socket was closed, which has destroyed the part.
bool WebSocket::on_gap(core::SubscriptionPart &part) {
  runtime_.counters().count(Counter::resets);
  if (plain_) {
    close(wire::kRestart, "Events were missed and cannot be replayed; start over.");
    return false;
  }
  send_text(
      wire::encode_reset(part.channel(), part.position().cursor(), wire::standing(part.kind(), part.state)));
  return true;
}

void WebSocket::on_events(core::SubscriptionPart &part, const core::EventPage &page) { deliver(part, page); }

void WebSocket::on_end(core::SubscriptionPart &part) {
  drop(part);
  on_flush();
}

/// May destroy this.
void WebSocket::on_flush() {
  if (subscriptions_.size() > 1)
    write_soon();  // other channels may have events in this iteration, too
  else
    write();
}

void WebSocket::push_page(const core::EventPage &page, core::Position &position) {
  push(wire::socket_frames(page, position, encoding_));
}

void WebSocket::push_event(const core::Subscription &subscription, const core::EventPage &page,
                           const core::Event &event) {
  push(wire::socket_frame(page, event, subscription.position(), encoding_));
}

/// Refusals are sent as a message or a close code, and the access log shows only the upgrade, so error.log
/// gets a line. One a second at most, because a client can cause many.
void WebSocket::log_refusal(int status, const char *why) {
  std::int64_t now = runtime_.now_ms();
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

/// Whether the client may be refused once more: 100 times a second, and after a quiet time as often as a
/// correct client needs that subscribes again to all it had.
bool WebSocket::may_be_refused() {
  std::int64_t now = runtime_.now_ms();
  std::int64_t burst = std::max<std::int64_t>(200, 2 * conf_.max_channels);
  refused_until_ms_ = std::max(refused_until_ms_, now) + kRefusalMs;
  return refused_until_ms_ - now <= burst * kRefusalMs;
}

void WebSocket::refuse(std::string_view channel, int status, const char *detail) {
  log_refusal(status, detail);
  if (plain_)
    close(status == 404 ? wire::kNotFound : wire::kTryLater, detail);
  else if (may_be_refused())
    send_text(wire::encode_error(channel, status, detail));
  else
    close(wire::kPolicy, "Too many rejected messages.");
  write_soon();
}

void WebSocket::on_text(std::string_view message) {
  ++messages_;
  if (plain_ || closing_)
    return;
  wire::SocketRequest request = wire::parse_request(message);
  switch (request.op) {
    case wire::SocketRequest::subscribe:
      return subscribe(request.channel, std::move(request.cursor), NamedBy::client);
    case wire::SocketRequest::unsubscribe:
      return unsubscribe(request.channel);
    case wire::SocketRequest::ping:
      return request.channel.empty() ? push(runtime_.heartbeats().websocket_beat())
                                     : tell_position(request.channel);
    case wire::SocketRequest::malformed:
      return refuse("", 400, request.why);
  }
}

void WebSocket::on_binary() {
  ++messages_;
  if (closing_)
    return;
  log_refusal(wire::kUnsupported, "binary message");
  close(wire::kUnsupported, "Only text messages are supported.");
}

/// Reads what the client sends, as long as it reads what is sent to it. Stops after kTurnBytes or
/// kTurnMessages, so that other connections get their turn. May destroy this.
void WebSocket::read() {
  ngx_connection_t *c = connection();
  if (c->close) {  // worker_shutdown_timeout
    disconnect();  // usually destroys this
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
      disconnect();  // usually destroys this
      return;
    }
    silent_ = 0;
    got += static_cast<std::size_t>(n);
    take({reinterpret_cast<char *>(buffer), static_cast<std::size_t>(n)});
  }
  if (is_full())
    paused_ = true;
  if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
    disconnect();  // usually destroys this
    return;
  }
  read_on();
  write();  // may destroy this
}

bool WebSocket::has_turn() const { return !ended_ && !is_full() && messages_ < kTurnMessages; }

/// Handles the bytes as far as the turn goes, and keeps the rest. Does not destroy this: what it sends is
/// only queued.
void WebSocket::take(std::string_view bytes) {
  while (!bytes.empty() && has_turn()) {
    parse(bytes.substr(0, kSlice));
    bytes.remove_prefix(std::min(bytes.size(), kSlice));
  }
  if (!bytes.empty() && !ended_)
    unread_ = std::make_unique<std::string>(bytes);
  unfinished_.set(static_cast<std::int64_t>(reader_.held() + (unread_ ? unread_->size() : 0)));
}

void WebSocket::parse(std::string_view bytes) {
  auto closed = reader_.feed(bytes, conf_.max_frame, *this);
  if (!closed)
    return;
  if (*closed != 0)
    log_refusal(*closed, "invalid frame, or message longer than await_max_frame");
  end();
}

/// Continues with what the turn has left, after the events of all other connections.
void WebSocket::read_on() {
  ngx_event_t *event = connection()->read;
  if ((unread_ || event->ready) && !ended_ && !is_full()) {
    ngx_post_event(event, &ngx_posted_next_events);
  }
}

void WebSocket::on_reply(std::string_view frames) {
  if (!closing_)
    push(Bytes(frames));
}

void WebSocket::send_text(std::string_view text) {
  if (!plain_ && !closing_)
    push(Bytes(wire::websocket_text(text)));
}

void WebSocket::write_soon() { runtime_.flush_soon(*this); }

void WebSocket::flush() noexcept {
  ngx::guarded(connection()->log, [this] { write(); });
}

WebSocket::Written WebSocket::send() {
  ngx_connection_t *c = connection();
  if (r_ != nullptr && r_->out != nullptr && ngx_http_output_filter(r_, nullptr) == NGX_ERROR)
    return {.failed = true};
  bool head_out = r_ == nullptr || (r_->out == nullptr && !c->write->delayed);
  ngx_int_t rc = head_out ? queue_.flush(c) : NGX_AGAIN;
  return {rc == NGX_ERROR, rc == NGX_AGAIN, rc == NGX_OK};
}

void WebSocket::on_room() {
  if (!std::exchange(paused_, false))
    return;
  resume_parts();
  read_on();
}

void WebSocket::resume_all() {
  for (auto &subscription : subscriptions_)
    subscription->resume();
}

void WebSocket::restore_info(RequestInfo &info) { info.delivery = "socket"; }

bool WebSocket::is_unresponsive() const { return closing_ || silent_ >= kMostSilent; }

void WebSocket::on_expiry() { close(wire::kUnauthenticated, "The token has expired."); }

void WebSocket::push_heartbeat() {
  ++silent_;
  push(runtime_.heartbeats().websocket_ping());
  if (visible_beat_)
    push(runtime_.heartbeats().websocket_beat());
}

/// Sends a close frame, and waits kCloseTicks for that of the client. Destroys the subscriptions, but not
/// this.
void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(closing_, true))
    return;
  subscriptions_.clear();
  push(Bytes(wire::websocket_close(code, reason)));
  schedule_check(kCloseTicks);
  write_soon();
}

/// The client has sent its close frame, or is rejected: nothing more is read or queued.
void WebSocket::end() {
  closing_ = ended_ = true;
  subscriptions_.clear();
  schedule_check(kCloseTicks);
  write_soon();
}

void WebSocket::drain() {
  if (closing_)
    return;
  send_text(wire::encode_bye(retry_ms(conf_, runtime_.random())));
  if (runtime_.counters().is_reloaded())
    close(wire::kRestart, "The server is restarting; reconnect.");
  else
    close(wire::kGoingAway, "The server is shutting down; reconnect later.");
}

void WebSocket::revoke() { close(wire::kUnauthenticated, "The session was revoked."); }

void WebSocket::leave() {
  LiveConnection::leave();
  Flush::unlink();
  subscriptions_.clear();
}

}  // namespace await::http
