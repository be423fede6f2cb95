#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/multi_subscription.h"
#include "http/live/sse_connection.h"
#include "wire/channel.h"

namespace await::http {

/// The options of an event stream, from the request and the location.
struct StreamOptions {
  std::string cursor;         ///< as sent; empty: from the start
  bool names = true;          ///< ?names=off: no event: field
  bool visible_beat = false;  ///< ?beat=1: heartbeats as events
  bool linger = false;        ///< stays open after a job has ended
};

/// The options that the request asks for.
StreamOptions stream_options(ngx_http_request_t *r, std::string cursor);

/// The events of one or several channels as Server-Sent Events: the missed events since the cursor, then new
/// ones, until the jobs have ended. Once the client has caught up, the request is freed and its connection
/// parked.
class SseStream : public SseConnection, private core::MultiSubscription::Reader {
 public:
  /// @param channels  at least one
  SseStream(ngx_http_request_t *r, Runtime &runtime, const std::vector<wire::Channel> &channels,
            const wire::EventEncoding &encoding, const StreamOptions &options);

  ngx::Answer start();
  /// The same for a request that is held already, by another object, which has unlinked itself.
  void take_over();

 private:
  bool on_ready() override;
  void on_gap(core::MultiSubscription::Part &part) override;
  bool can_deliver() const override { return !is_full(); }
  void on_events(core::MultiSubscription::Part &part, const core::EventPage &page) override;
  void on_flush() override { write(); }
  void on_end() override;
  void on_error(const Error &error) override;
  std::optional<std::string_view> owner() const override;

  void push_event(const core::Subscription &subscription, const core::EventPage &page,
                  const core::Event &event) override;
  void push_page(const core::EventPage &page, core::Position &position) override;
  bool shares_pages() const override { return subscriptions_.is_alone() && !is_filtered(); }
  void on_room() override;
  void restore_info(RequestInfo &info) override;
  void leave() override;

  void begin();
  void push_shared(const Bytes &frame);
  void push_state(std::string_view type, std::string_view state, std::string_view channel = {});
  wire::FrameStyle style() const { return {names_, is_chunked()}; }

  core::MultiSubscription subscriptions_;
  ScopedGauge stream_{Gauge::streams};
  ScopedGauge reading_{Gauge::reads, 0};  // until it is open
  bool names_;
  bool linger_;
  bool behind_ = false;  // the format hid the last events, so the client's cursor is older than ours
  bool opened_ = false;  // the first frame is sent
};

}  // namespace await::http
