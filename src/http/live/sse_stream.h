#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/multi_subscription.h"
#include "http/runtime/process.h"
#include "ngx/filter_output.h"
#include "ngx/held.h"
#include "ngx/send_queue.h"
#include "ngx/send_timer.h"
#include "wire/channel.h"
#include "wire/event_encoding.h"
#include "wire/sse.h"

namespace await::http {

/// What the client of an event stream asked for, and what the location says.
struct StreamOptions {
  std::string cursor;         ///< as sent; empty: from the start
  bool names = true;          ///< ?names=off: no event: field
  bool visible_beat = false;  ///< ?beat=1: heartbeats as events
  bool linger = false;        ///< stays open after a job has ended
};

/// The events of a channel, or of several, as Server-Sent Events: primer, replay, then live until the jobs
/// have ended. Once the client has caught up the request is given up and its connection parked.
class SseStream : public ngx::Held, private core::TimerEntry, private core::MultiSubscription::Reader {
 public:
  /// @param channels  at least one
  SseStream(ngx_http_request_t *r, const std::vector<wire::Channel> &channels,
            const wire::EventEncoding &shape, const StreamOptions &options);

  ngx::Answer start();
  void drain() override;
  void give_up() override {}  // drained, and still to be read by its client
  void revoke() override { drain(); }

 private:
  void leave() override;
  void on_due() noexcept override;
  void on_parked_writable() override;
  bool on_ready() override;
  void on_gap(core::MultiSubscription::Part &part) override;
  void on_events(core::MultiSubscription::Part &part, const core::EventPage &page) override;
  void on_flush() override { write(); }
  void on_end() override;
  void on_error(const Error &error) override;
  std::optional<std::string_view> owner() const override;
  bool send_head();
  void give_event(const core::EventPage &page, const core::Event &event, const core::Position &place);
  void push_shared(const Bytes &frame);
  void push_frame(std::string_view type, std::string_view data);
  void push(std::string_view text);
  void beat();
  void write();
  bool wrote(ngx_int_t rc, bool waits);
  void lapse();
  void rest();
  void on_revive() override;
  void end_with_retry();
  void end();
  std::size_t pending() const { return out_ != nullptr ? out_->pending() : backlog_.pending(); }
  ngx::SendTimer::Writer writer() const { return {connection(), r_, core_conf()}; }
  bool is_full() const { return pending() > conf_.max_buffered; }
  wire::FrameStyle style() const { return {names_, out_ == nullptr && chunked()}; }
  static void on_writable(ngx_http_request_t *r);

  const LocationConf &conf_;
  const wire::EventEncoding &shape_;
  ngx::FilterOutput *out_ = nullptr;  // through nginx's filters, while there is a request; in its pool
  ngx::SendQueue backlog_;            // straight to the connection, while there is none
  core::MultiSubscription bundle_;
  ScopedGauge reading_{Gauge::reads, 0};  // until it is open
  ScopedGauge buffered_{Gauge::buffered, 0};
  std::int64_t expires_ms_;  // 0: never
  std::int64_t began_ms_ = 0;
  ngx::SendTimer timer_;
  bool names_;
  bool visible_beat_;
  bool linger_;
  bool behind_ = false;  // events that are not shown came after the last frame: the client's cursor is older
  bool sent_ = false;    // the header is out
  bool ended_ = false;   // everything is pushed, the stream ends once it is written
};

}  // namespace await::http
