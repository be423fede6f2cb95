#pragma once

#include <cstdint>

#include "ngx/nginx.h"

namespace await::ngx {

/// Applies nginx's send_timeout to code that writes to the connection itself: a client that takes no bytes
/// for this time is disconnected. This is the only place that knows the use of the timer of the write event
/// of a connection: while `delayed` is set, it is the timer of limit_rate, which must expire.
class SendTimer {
 public:
  /// The connection that is written to, and its request (null while parked).
  struct Writer {
    ngx_connection_t *connection;
    ngx_http_request_t *request;
    const ngx_http_core_loc_conf_t &conf;
  };

  /// Call after every write.
  /// @param waits  whether data remains to be written; the write event then reports that the connection is
  ///   writable or that the time is over
  /// @return NGX_ERROR if the client must be disconnected
  ngx_int_t after_write(const Writer &writer, bool waits);
  /// Call when the write event has timed out. Returns false if the client has taken bytes in the meantime,
  /// but not enough to make the connection writable; the time then starts again.
  bool expired(const Writer &writer);

 private:
  static std::uint32_t taken(const Writer &writer);

  std::uint32_t taken_ = 0;  // bytes taken by the client when the timer was set, to detect progress
};

/// Whether nginx's filters buffer data of `r` because the client does not take it. Filters that hold back
/// bytes for other reasons (gzip) do not count.
bool is_write_buffered(const ngx_http_request_t *r);

}  // namespace await::ngx
