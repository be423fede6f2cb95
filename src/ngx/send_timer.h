#pragma once

#include <cstdint>

#include "ngx/nginx.h"

namespace await::ngx {

/// nginx's send_timeout for who writes by himself: a client is lost that takes nothing for so long, however
/// much waits for it. The one place that knows whose timer a connection's write event has: while `delayed` is
/// set it is limit_rate's, which must ring.
class SendTimer {
 public:
  /// Who writes: to `connection`, for `request` (null while that is parked).
  struct Writer {
    ngx_connection_t *connection;
    ngx_http_request_t *request;
    const ngx_http_core_loc_conf_t &conf;
  };

  /// To be called after every write.
  /// @param waits  something is still to be written: the write event says when it can be, or that the time is
  ///   over
  /// Errors: NGX_ERROR, the client is lost.
  ngx_int_t after_write(const Writer &writer, bool waits);
  /// To be asked when the write event has timed out. False: the client's side has taken something all the
  /// same, only not enough to make room for more; the time begins anew.
  bool expired(const Writer &writer);

 private:
  static std::uint32_t taken(const Writer &writer);

  std::uint32_t taken_ = 0;  // bytes that the client's side had when the timer was set: a difference counts
};

/// Whether nginx's filters keep something of `r` that the client has no room for. Those that hold bytes back
/// for their own sake (gzip) do not count.
bool is_write_buffered(const ngx_http_request_t *r);

}  // namespace await::ngx
