#include "http/live/console_stream.h"

#include <string>
#include <utility>

#include "http/exchange/console_node.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

constexpr wire::EventEncoding kNoEvents;  // of channels: there are none
constexpr int kPatience = 3;              // calls, about a second each, until the first read should have come

}  // namespace

ConsoleStream::ConsoleStream(ngx_http_request_t *r, Runtime &runtime, bool may_write)
    : SseConnection(r, runtime, kNoEvents, false), may_write_(may_write) {
  register_held();
}

Answer ConsoleStream::start() {
  request_info(r_).delivery = "sse";
  begin_output();
  Answer held = hold();
  runtime_.console().add(*this);
  return held;
}

/// May destroy this.
void ConsoleStream::on_overview(std::string_view overview, bool is_new) {
  bool first = !std::exchange(opened_, true);
  if (first && !send_head())
    return;
  runtime_.node_report().show();
  owes_ = owes_ || is_new || first;
  calls_ += calls_ < kPatience ? 1 : 0;
  if (pending() > 0)
    return;  // a slow client gets what is new when it has read what was
  std::string frames = first ? wire::sse_retry(retry_ms(conf_, runtime_.random())) : std::string();
  frames += wire::sse_frame({}, "node", console_node(runtime_, may_write_));
  if (owes_ && (!overview.empty() || calls_ == kPatience)) {
    owes_ = false;
    frames += wire::sse_frame({}, "overview", overview.empty() ? "null" : overview);
  }
  push(frames);
  write();
}

void ConsoleStream::restore_info(RequestInfo &info) { info.delivery = "sse"; }

void ConsoleStream::leave() {
  SseConnection::leave();
  ConsoleFeed::Listener::unlink();
}

Answer ConsoleOverview::start() {
  register_held();
  runtime_.node_report().show();
  Answer held = hold();
  runtime_.console().add(*this);
  return held;
}

void ConsoleOverview::on_overview(std::string_view overview, bool) {
  if (overview.empty() && ++calls_ < kPatience)
    return;
  wire::JsonWriter out;
  out.made("node", console_node(runtime_, may_write_));
  out.raw("overview", overview.empty() ? "null" : overview);
  add_header(r_, "Cache-Control", "no-store");
  add_header(r_, "X-Content-Type-Options", "nosniff");
  finish(send(r_, 200, "application/json", out.take()));  // usually destroys this
}

void ConsoleOverview::drain() { finish(send_restarting(r_)); }

void ConsoleOverview::leave() { ConsoleFeed::Listener::unlink(); }

}  // namespace await::http
