#pragma once

#include <string_view>

#include "http/live/live_connection.h"
#include "ngx/filter_output.h"
#include "wire/sse.h"

namespace await::http {

/// A stream of Server-Sent Events, whatever they are about: the header, the frames, heartbeats and the end.
/// At first the response goes through nginx's filters, and once it is parked straight to the connection.
class SseConnection : public LiveConnection {
 public:
  /// Ends the stream; the client returns after `retry`. May destroy this, as may revoke().
  void drain() override;
  void revoke() override { drain(); }

 protected:
  SseConnection(ngx_http_request_t *r, Runtime &runtime, const wire::EventEncoding &encoding,
                bool visible_beat)
      : LiveConnection(r, runtime, encoding, visible_beat) {}

  /// Call before anything is sent.
  void begin_output();
  /// Sends the header. False: that has ended the request, and usually destroyed this.
  bool send_head();
  void push(std::string_view text);
  /// @param bytes  in the style of is_chunked()
  void push_bytes(const Bytes &bytes);
  /// Nothing can be sent now, and no status but 200 would let EventSource come again. May destroy this.
  void end_with_retry();
  /// Ends the stream once everything is written. May destroy this.
  void end();
  /// Whether we write chunks; nginx's filters make chunks of what goes through them.
  bool is_chunked() const { return out_ == nullptr && chunked(); }
  bool is_filtered() const { return out_ != nullptr; }
  std::size_t pending() const override { return out_ != nullptr ? out_->pending() : queue_.pending(); }
  ngx::Answer lost_answer(bool timed_out) const override;

 private:
  Written send() override;
  void push_heartbeat() override;
  DeliveryLog::Way way() const override { return DeliveryLog::Way::stream; }
  ngx_msec_t heartbeat_interval() const override { return conf_.ping; }
  void on_expiry() override { end(); }
  void on_park() override { out_ = nullptr; }
  void finish_response() override;

  ngx::FilterOutput *out_ = nullptr;  // while there is a request; in its pool
  bool sent_ = false;                 // the header is sent
};

}  // namespace await::http
