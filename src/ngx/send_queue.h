#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// A send queue for a connection without a request. The bytes are shared with other queues, combined into one
/// write, and kept in order if the client is slow. Allocates no memory while it is empty.
class SendQueue {
 public:
  void push(const Bytes &bytes) {
    queue_.push_back(bytes);
    pending_ += static_cast<std::uint32_t>(bytes.size());
  }
  /// The number of bytes pushed but not sent.
  std::size_t pending() const { return pending_; }
  /// Returns NGX_OK if everything was sent, NGX_AGAIN if it must be called again when the connection is
  /// writable, NGX_ERROR if the client has disconnected.
  ngx_int_t flush(ngx_connection_t *c);

 private:
  bool send_one(ngx_connection_t *c, std::size_t &done);
  bool send_many(ngx_connection_t *c, std::size_t &done);
  void account_for(const ngx_buf_t *buffers, std::size_t n, std::size_t &done);

  // during flush() the first `done` elements are sent; they are removed together at its end
  std::vector<Bytes> queue_;
  std::uint32_t pending_ = 0;    // bytes of the queue that are not sent: without sent_
  std::uint32_t sent_ : 31 = 0;  // bytes sent of the first element that is not sent completely
  std::uint32_t begun_ : 1 = 0;  // TLS must be given the same bytes again, at the same address
};

}  // namespace await::ngx
