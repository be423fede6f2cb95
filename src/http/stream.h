#pragma once

#include <optional>
#include <string>

#include "core/place.h"
#include "core/watcher.h"
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
class EventStream : public ngx::Held, private core::Spoke {
 public:
  EventStream(ngx_http_request_t *r, const Uuid &id, StreamOptions options);

  ngx_int_t start();
  void drain() override;
  void give_up() override { finish(NGX_ERROR); }

 private:
  void leave() override;
  void due() noexcept override;
  void got(Result<const core::EventPage *> page);
  bool begin(const core::EventPage &page, core::Place::Fit fit);
  bool send_head();
  void send_reset(core::State state);
  void send_events(const core::EventPage &page);
  void push(std::string_view type, std::string_view data);
  void beat();
  void write();
  void end_with_retry();
  void end();
  bool is_full() const;
  static void on_writable(ngx_http_request_t *r);

  Uuid id_;
  StreamOptions options_;
  ngx::Outgoing out_{r_};
  core::Place place_;
  core::Watcher<core::EventNeed> watcher_;
  Tally buffered_{Gauge::buffered, 0};
  std::optional<Tally> reading_;
  std::int64_t began_ms_ = 0;
  bool open_ = false;   // the header is out
  bool ended_ = false;  // everything is pushed, the stream ends once it is written
};

}  // namespace await::http
