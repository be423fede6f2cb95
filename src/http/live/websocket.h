#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/exchange/channels.h"
#include "http/live/counted_subscription.h"
#include "http/live/live_connection.h"
#include "http/runtime/held_request.h"
#include "wire/websocket.h"

namespace await::http {

/// The options of a WebSocket, from the request and the location.
struct SocketOptions {
  const wire::EventEncoding *encoding;
  bool plain = false;         ///< events, and nothing else
  bool visible_beat = false;  ///< ?beat=1: heartbeats that scripts see
};

/// A WebSocket (RFC 6455) with any number of channels. Once the upgrade is sent, the request is freed and its
/// connection parked; bytes are read from and written to the connection itself in any case.
class WebSocket : public LiveConnection,
                  private core::PartReader,
                  private Flush,
                  private wire::WebSocketReader::Listener {
 public:
  WebSocket(ngx_http_request_t *r, Runtime &runtime, const SocketOptions &options);
  ~WebSocket() override;

  /// Answers 101. A content handler returns the result.
  /// @param key  the client's Sec-WebSocket-Key
  /// @param subprotocol  whether await.v1 was chosen
  /// @param channels  watched from the start; the cursor is for all of them
  ngx::Answer start(std::string_view key, bool subprotocol, const std::vector<std::string> &channels,
                    const std::string &cursor);
  void drain() override;
  void revoke() override;

 private:
  struct Entry : CountedSubscription {
    Entry(WebSocket &socket, const wire::Channel &channel, std::string cursor)
        : CountedSubscription(socket, socket.runtime_, socket.conf_, channel, std::move(cursor)) {}
  };
  /// Watches a channel from `cursor` on. The client gets "subscribed" when the first page has come,
  /// or an error.
  void subscribe(std::string_view name, std::string cursor, NamedBy by);
  void unsubscribe(std::string_view name);
  void tell_position(std::string_view name);
  Entry *find(std::string_view name);
  void drop(const core::SubscriptionPart &part);
  bool on_ready(core::SubscriptionPart &part, const core::EventPage &page) override;
  bool on_gap(core::SubscriptionPart &part) override;
  void on_events(core::SubscriptionPart &part, const core::EventPage &page) override;
  /// Each channel ends on its own.
  bool is_complete(const core::SubscriptionPart &part) const override { return part.done; }
  void on_end(core::SubscriptionPart &part) override;
  void on_flush() override;
  void on_failure(core::SubscriptionPart &part, const Error &error) override;
  bool can_deliver() const override { return !is_full(); }
  void resume_all() override;
  std::optional<std::string_view> owner() const override;
  void refuse(std::string_view channel, int status, const char *detail);
  void log_refusal(int status, const char *why);
  bool may_be_refused();

  void on_text(std::string_view message) override;
  void on_binary() override;
  void on_reply(std::string_view frames) override;
  void read();
  bool has_turn() const;
  void take(std::string_view bytes);
  void parse(std::string_view bytes);
  void read_on();
  bool reads_client() const override { return true; }
  void on_parked_readable() override { read(); }

  void send_text(std::string_view text);
  void push(const Bytes &frame) {
    if (!frame.empty())  // the format hides the event
      queue_.push(frame);
  }
  void write_soon();
  void flush() noexcept override;
  void close(std::uint16_t code, std::string_view reason);
  void end();

  Written send() override;
  void push_event(const core::Subscription &subscription, const core::EventPage &page,
                  const core::Event &event) override;
  void push_page(const core::EventPage &page, core::Position &position) override;
  void push_heartbeat() override;
  DeliveryLog::Way way() const override { return DeliveryLog::Way::socket; }
  ngx_msec_t heartbeat_interval() const override { return conf_.ping_socket; }
  bool is_unresponsive() const override;
  void on_expiry() override;
  void on_room() override;
  void restore_info(RequestInfo &info) override;
  ngx::Answer lost_answer(bool) const override { return ngx::Answer::client_left(); }
  void leave() override;

  wire::WebSocketReader reader_;
  std::vector<std::unique_ptr<Entry>> subscriptions_;
  std::unique_ptr<std::string> owner_;                // null: every owner's jobs
  std::unique_ptr<std::vector<std::string>> ticket_;  // the channels of its ticket; null: it has none
  ScopedGauge counted_{Gauge::sockets};
  ScopedGauge unfinished_{Gauge::buffered, 0};  // of an incomplete message, and what waits for a turn
  std::unique_ptr<std::string> unread_;         // what the turn has left
  std::int64_t refused_until_ms_ = 0;           // by when what was refused is made good
  std::int64_t log_after_ms_ = 0;
  std::uint32_t unlogged_ = 0;
  std::uint32_t messages_ = 0;  // of this turn
  bool plain_;
  std::uint8_t silent_ = 0;  // pings since the client was heard
};

}  // namespace await::http
