#pragma once

#include <optional>
#include <string>

#include "core/follow.h"
#include "http/process.h"
#include "ngx/held.h"
#include "ngx/outgoing.h"

namespace await::http {

/// What the client of an event stream asked for.
struct StreamOptions {
  std::string cursor;         ///< as sent; empty: from the start
  bool names = true;          ///< ?names=off: no event: field
  bool visible_beat = false;  ///< ?beat=1: heartbeats as events
};

/// A job's events as Server-Sent Events: primer, replay, then live until the job ends.
class EventStream : public ngx::Held, private core::Listener, private core::Spoke {
 public:
  EventStream(ngx_http_request_t *r, const Uuid &id, StreamOptions options)
      : Held(r), id_(id), options_(std::move(options)) {}

  ngx_int_t start();
  void drain() override;

 private:
  static constexpr std::size_t kHighWater =
      std::size_t{128} * 1024;  // pending bytes at which we read no further

  void leave() override;
  void changed(int seq) noexcept override;
  void due() noexcept override;
  void on_time() override;
  void apply(core::Follow::Action action);
  void got(Result<const core::EventPage *> page);
  bool placed(const core::EventPage &page);
  bool begin(const core::EventPage &page);
  bool send_head();
  void send_events(const core::EventPage &page);
  void push(int seq, std::string_view type, std::string_view data);
  void beat();
  void write();
  void end_with_retry();
  void end();
  std::string cursor(int seq) const;
  static void on_writable(ngx_http_request_t *r);

  Uuid id_;
  StreamOptions options_;
  ngx::Outgoing out_{r_};
  core::Follow follow_;
  core::EventNeed need_{core::Callback<Result<const core::EventPage *>>::to<&EventStream::got>(this)};
  std::int64_t began_ms_ = 0;
  bool open_ = false;    // the header is out
  bool ended_ = false;   // everything is pushed, the stream ends once it is written
  bool paused_ = false;  // the client is slow: read on when it has caught up
};

}  // namespace await::http
