#pragma once

#include <cstdint>

#include "core/subscription.h"
#include "core/timer_wheel.h"
#include "http/conf/conf.h"
#include "http/runtime/counters.h"
#include "http/runtime/held_request.h"
#include "ngx/send_queue.h"
#include "ngx/send_timer.h"
#include "wire/event_encoding.h"

namespace await::http {

struct RequestInfo;

/// A connection on which a client gets events until it disconnects: the common part of event streams and
/// WebSockets. It queues and writes, applies send_timeout, sends heartbeats, ends when the ticket or token of
/// the client expires, parks the connection while nothing happens, and pauses the subscriptions of a slow
/// client. The transports add their framing and the messages of the client.
///
/// Functions that may destroy this say so: after such a call nothing of the object may be accessed.
class LiveConnection : public HeldRequest, private core::TimerEntry {
 public:
  void give_up() override {}  // drain() has ended it; the client may still be reading the rest

 protected:
  LiveConnection(ngx_http_request_t *r, Runtime &runtime, const wire::EventEncoding &encoding,
                 bool visible_beat);

  /// The result of a write.
  struct Written {
    bool failed = false;    ///< the client has disconnected
    bool waits = false;     ///< the rest follows when the connection is writable
    bool complete = false;  ///< nothing is left to be written
  };

  // What a transport adds.

  /// Writes what is queued.
  virtual Written send() = 0;
  virtual std::size_t pending() const { return queue_.pending(); }
  /// Queues the frame of an event, or of all events of a page, in which case the position is advanced. For
  /// those that call deliver().
  virtual void push_event(const core::Subscription &, const core::EventPage &, const core::Event &) {}
  virtual void push_page(const core::EventPage &, core::Position &) {}
  /// Whether push_page() may be used.
  virtual bool shares_pages() const { return true; }
  virtual void push_heartbeat() = 0;
  /// How events get to the client.
  virtual DeliveryLog::Way way() const = 0;
  virtual ngx_msec_t heartbeat_interval() const = 0;
  /// Whether the client has stopped answering, so that it is disconnected.
  virtual bool is_unresponsive() const { return false; }
  /// The ticket or token of the client has expired.
  virtual void on_expiry() = 0;
  /// There is room in the queue again.
  virtual void on_room() = 0;
  /// The connection was parked: the request and what was in its pool are gone.
  virtual void on_park() {}
  /// The request was restored: sets what its variables show.
  virtual void restore_info(RequestInfo &info) = 0;
  /// `ended_`, and everything is written: ends the request. Usually destroys this.
  virtual void finish_response();
  /// What the access log gets if the client is lost.
  virtual ngx::Answer lost_answer(bool timed_out) const = 0;

  // What a transport uses.

  /// Sends the events of the page that the client has room for. The rest is read again when it has caught up.
  void deliver(core::Subscription &subscription, const core::EventPage &page);
  /// Writes, then ends, parks, or lets more events come. May destroy this.
  void write();
  /// Disconnects the client. Usually destroys this.
  void disconnect();
  bool is_full() const { return pending() > conf_.max_buffered; }
  std::int64_t held_ms() const;
  void schedule_heartbeat();
  /// on_due() after so many seconds, instead of the next heartbeat.
  void schedule_check(std::size_t ticks);
  /// Lets the handlers of the request find this object.
  void bind_request();
  void handle_readable() { r_->read_event_handler = on_request_readable; }
  void handle_writable() { r_->write_event_handler = on_request_writable; }
  void leave() override { core::TimerEntry::unlink(); }

  const LocationConf &conf_;
  const wire::EventEncoding &encoding_;
  ngx::SendQueue queue_;  // straight to the connection

 private:
  void on_due() noexcept override;
  void on_parked_writable() final;
  void on_revive() final;
  void on_send_timeout();
  void rest();
  ngx::SendTimer::Writer writer() const { return {connection(), r_, core_conf()}; }
  static void on_request_readable(ngx_http_request_t *r);
  static void on_request_writable(ngx_http_request_t *r);

  ScopedGauge buffered_{Gauge::buffered, 0};
  std::int64_t expires_ms_;  // 0: never
  std::int64_t began_ms_;
  ngx::SendTimer timer_;

 protected:
  bool visible_beat_;     // heartbeats that scripts see
  bool paused_ = false;   // the client is slow: nothing is read for it
  bool closing_ = false;  // the last frame is queued: no more events, and no parking
  bool ended_ = false;    // the request ends as soon as everything is written
};

}  // namespace await::http
