#pragma once

#include <optional>
#include <string>

#include "core/place.h"
#include "core/watcher.h"
#include "http/process.h"
#include "ngx/backlog.h"
#include "ngx/held.h"
#include "ngx/outgoing.h"
#include "wire/channel.h"
#include "wire/shape.h"
#include "wire/sse.h"

namespace await::http {

/// What the client of an event stream asked for, and what the location says.
struct StreamOptions {
  std::string cursor;         ///< as sent; empty: from the start
  bool names = true;          ///< ?names=off: no event: field
  bool visible_beat = false;  ///< ?beat=1: heartbeats as events
  bool linger = false;        ///< stays open after a job has ended
};

/// A channel's events as Server-Sent Events: primer, replay, then live until the job ends. Once the client
/// has caught up the request is given up and its connection parked.
class EventStream : public ngx::Held, private core::Spoke {
 public:
  EventStream(ngx_http_request_t *r, const wire::Channel &what, const wire::Shape &shape,
              StreamOptions options);

  ngx_int_t start();
  void drain() override;
  void give_up() override;
  void revoke() override { drain(); }

 private:
  void leave() override;
  void due() noexcept override;
  void on_parked_writable() override;
  void got(Result<const core::EventPage *> page);
  bool begin(const core::EventPage &page, core::Place::Fit fit);
  bool send_head();
  void send_reset(const core::EventPage &page);
  void send_events(const core::EventPage &page);
  void give(const Bytes &frame);
  void push_frame(std::string_view type, std::string_view data);
  void push(std::string_view text);
  void beat();
  void write();
  bool wrote(ngx_int_t rc, std::size_t pending);
  void rest();
  void revived() override;
  void end_with_retry();
  void end();
  std::size_t pending() const { return out_ != nullptr ? out_->pending() : backlog_.pending(); }
  bool is_full() const { return pending() > settings_.max_buffered; }
  wire::FrameStyle style() const { return {names_, out_ == nullptr && chunked()}; }
  static void on_writable(ngx_http_request_t *r);

  const Settings &settings_;
  const wire::Shape &shape_;
  ngx::Outgoing *out_ = nullptr;          // through nginx's filters, while there is a request; in its pool
  ngx::Backlog backlog_;                  // straight to the connection, while there is none
  std::unique_ptr<wire::Channel> topic_;  // if it is one: for what was never published to
  core::Place place_;
  core::Watcher<core::EventNeed> watcher_;
  Tally buffered_{Gauge::buffered, 0};
  Tally reading_{Gauge::reads, 0};
  std::int64_t expires_ms_;  // 0: never
  std::int64_t began_ms_ = 0;
  core::State state_ = core::State::pending;  // as last heard of
  bool names_;
  bool visible_beat_;
  bool linger_;
  bool behind_ = false;  // events that are not shown came after the last frame: the client's cursor is older
  bool known_ = false;   // it is there, and this client's
  bool open_ = false;    // the header is out
  bool ended_ = false;   // everything is pushed, the stream ends once it is written
};

}  // namespace await::http
