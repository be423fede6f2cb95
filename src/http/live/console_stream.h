#pragma once

#include <string_view>

#include "http/live/sse_connection.h"
#include "http/runtime/console_feed.h"

namespace await::http {

/// What a console shows, as Server-Sent Events: each second the event `node` with what this node knows of
/// itself, and `overview` whenever the database was read.
class ConsoleStream : public SseConnection, private ConsoleFeed::Listener {
 public:
  ConsoleStream(ngx_http_request_t *r, Runtime &runtime, bool may_write);

  ngx::Answer start();

 private:
  void on_overview(std::string_view overview, bool is_new) override;
  void on_room() override { paused_ = false; }
  void restore_info(RequestInfo &info) override;
  void leave() override;

  ScopedGauge console_{Gauge::consoles};
  bool may_write_;
  bool opened_ = false;  // the header is sent
  int calls_ = 0;        // of on_overview(), up to a number
  bool owes_ = false;    // the overview has changed since it was sent
};

/// The same once, as JSON: {"node": …, "overview": …}, of which the latter is null if it cannot be read.
class ConsoleOverview : public HeldRequest, private ConsoleFeed::Listener {
 public:
  ConsoleOverview(ngx_http_request_t *r, Runtime &runtime, bool may_write)
      : HeldRequest(r, runtime), may_write_(may_write) {}

  ngx::Answer start();
  void drain() override;
  void give_up() override {}  // drain() has ended it

 private:
  void on_overview(std::string_view overview, bool is_new) override;
  void leave() override;

  ScopedGauge console_{Gauge::consoles};
  bool may_write_;
  int calls_ = 0;
};

}  // namespace await::http
