#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/live/counted_subscription.h"
#include "http/runtime/process.h"
#include "ngx/held.h"
#include "ngx/send_queue.h"
#include "ngx/send_timer.h"
#include "wire/channel.h"
#include "wire/event_encoding.h"
#include "wire/websocket.h"

namespace await::http {

/// What the client of a WebSocket asked for, and what it may.
struct SocketOptions {
  const wire::EventEncoding *shape;  ///< how events are written
  bool plain = false;                ///< events, and nothing else
  bool visible_beat = false;         ///< ?beat=1: heartbeats that scripts see
};

/// A WebSocket (RFC 6455) with any number of channels on it. Once the upgrade is sent the request is given up
/// and its connection parked; bytes go to and come from the connection itself either way.
class Socket : public ngx::Held,
               private core::TimerEntry,
               private core::Subscription::Reader,
               private Process::Flush,
               private wire::WebSocketReader::Listener {
 public:
  Socket(ngx_http_request_t *r, SocketOptions options);
  ~Socket() override;

  /// Answers 101. What a content handler returns.
  /// @param key  the client's Sec-WebSocket-Key
  /// @param subprotocol  whether await.v1 was chosen
  /// @param channels  what it watches from the start; a cursor counts for all of them
  ngx::Answer start(std::string_view key, bool subprotocol, const std::vector<std::string> &channels,
                    const std::string &cursor);
  void drain() override;
  void give_up() override {}  // drained, and still to be read by its client
  void revoke() override;

 private:
  /// Watches a channel from `cursor` on; says so when it was read, or why not.
  void subscribe(std::string_view channel, std::string cursor);
  void unsubscribe(std::string_view channel);
  struct Entry : CountedSubscription {
    Entry(Socket &socket, const wire::Channel &what, std::string cursor)
        : CountedSubscription(socket, socket.conf_, what, std::move(cursor)) {}
    bool confirmed = false;  // the client was told "subscribed"
  };
  void drop(core::Subscription &subscription);
  void on_page(core::Subscription &subscription, const core::EventPage &page, bool lost) override;
  void on_error(core::Subscription &subscription, const Error &error) override;
  std::optional<std::string_view> owner() const override;
  void give(core::Subscription &subscription, const core::EventPage &page);
  void refuse(std::string_view channel, int status, const char *detail);
  void log_refusal(int status, const char *why);
  bool may_be_refused();

  void text(std::string_view message) override;
  void binary() override;
  void reply(std::string_view frames) override;
  void read();
  bool has_turn() const;
  void take(std::string_view bytes);
  void feed(std::string_view bytes);
  void read_on();

  void say(std::string_view text);
  void push(const Bytes &frame) {
    if (!frame.empty())  // not shown
      backlog_.push(frame);
  }
  void write_soon();
  void flush() noexcept override;
  void write();
  void rest();
  void close(std::uint16_t code, std::string_view reason);
  void over();
  void gone();
  ngx::SendTimer::Writer writer() const { return {connection(), r_, core_conf()}; }
  bool is_full() const { return backlog_.pending() > conf_.max_buffered; }

  void leave() override;
  void on_revive() override;
  void on_due() noexcept override;
  bool reads_client() const override { return true; }
  void on_parked_readable() override { read(); }
  void on_parked_writable() override;
  static void on_readable(ngx_http_request_t *r);
  static void on_writable(ngx_http_request_t *r);

  const LocationConf &conf_;
  const wire::EventEncoding &shape_;
  ngx::SendQueue backlog_;
  wire::WebSocketReader reader_;
  std::vector<std::unique_ptr<Entry>> subscriptions_;
  std::unique_ptr<std::string> owner_;              // null: unscoped
  std::unique_ptr<std::vector<std::string>> only_;  // what its ticket is for; null: it came with none
  ScopedGauge counted_{Gauge::sockets};
  ScopedGauge buffered_{Gauge::buffered, 0};
  ScopedGauge unfinished_{Gauge::buffered, 0};  // what has come of a message, and what waits for a turn
  std::unique_ptr<std::string> unread_;         // what the turn has left
  std::int64_t expires_ms_;                     // 0: never
  std::int64_t began_ms_;
  ngx::SendTimer timer_;
  std::int64_t refused_until_ms_ = 0;  // by when what was refused is made good
  std::int64_t log_after_ms_ = 0;
  std::uint32_t unlogged_ = 0;
  std::uint32_t messages_ = 0;  // of this turn
  bool plain_;
  bool visible_beat_;
  bool paused_ = false;      // the client is slow: nothing is read for it, nor from it
  bool closing_ = false;     // our close frame is pushed
  bool over_ = false;        // and the client's has come: the end, once all is written
  std::uint8_t silent_ = 0;  // pings since the client was heard
};

}  // namespace await::http
