#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/bundle.h"
#include "http/runtime/process.h"
#include "ngx/backlog.h"
#include "ngx/held.h"
#include "ngx/outgoing.h"
#include "ngx/send_timer.h"
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

/// The events of a channel, or of several, as Server-Sent Events: primer, replay, then live until the jobs
/// have ended. Once the client has caught up the request is given up and its connection parked.
class EventStream : public ngx::Held, private core::Spoke, private core::Bundle::Reader {
 public:
  /// @param channels  at least one
  EventStream(ngx_http_request_t *r, const std::vector<wire::Channel> &channels, const wire::Shape &shape,
              const StreamOptions &options);

  ngx::Answer start();
  void drain() override;
  void give_up() override {}  // drained, and still to be read by its client
  void revoke() override { drain(); }

 private:
  void leave() override;
  void due() noexcept override;
  void on_parked_writable() override;
  bool open() override;
  void lost(core::Bundle::Part &part) override;
  void give(core::Bundle::Part &part, const core::EventPage &page) override;
  void given() override { write(); }
  void done() override;
  void refused(const Error &error) override;
  std::optional<std::string_view> owner() const override;
  bool send_head();
  void give_event(const core::EventPage &page, const core::Event &event, const core::Place &place);
  void push_shared(const Bytes &frame);
  void push_frame(std::string_view type, std::string_view data);
  void push(std::string_view text);
  void beat();
  void write();
  bool wrote(ngx_int_t rc, bool waits);
  void lapse();
  void rest();
  void revived() override;
  void end_with_retry();
  void end();
  std::size_t pending() const { return out_ != nullptr ? out_->pending() : backlog_.pending(); }
  ngx::SendTimer::Writer writer() const { return {connection(), r_, core_settings()}; }
  bool is_full() const { return pending() > settings_.max_buffered; }
  wire::FrameStyle style() const { return {names_, out_ == nullptr && chunked()}; }
  static void on_writable(ngx_http_request_t *r);

  const Settings &settings_;
  const wire::Shape &shape_;
  ngx::Outgoing *out_ = nullptr;  // through nginx's filters, while there is a request; in its pool
  ngx::Backlog backlog_;          // straight to the connection, while there is none
  core::Bundle bundle_;
  Tally reading_{Gauge::reads, 0};  // until it is open
  Tally buffered_{Gauge::buffered, 0};
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
