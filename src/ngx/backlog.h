#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// Bytes on their way to a connection without a request: shared, gathered into one write, kept in order
/// where the client is slow. Holds no memory of its own while it is empty.
class Backlog {
 public:
  void push(const Bytes &bytes) {
    queue_.push_back(bytes);
    pending_ += static_cast<std::uint32_t>(bytes.size());
  }
  /// Bytes pushed and not sent.
  std::size_t pending() const { return pending_; }
  /// NGX_OK: all is sent; NGX_AGAIN: call again when the connection is writable; NGX_ERROR: the client is
  /// gone.
  ngx_int_t flush(ngx_connection_t *c);

 private:
  bool send_one(ngx_connection_t *c, std::size_t &done);
  bool send_many(ngx_connection_t *c, std::size_t &done);

  std::vector<Bytes> queue_;
  std::uint32_t pending_ = 0;
  std::uint32_t sent_ : 31 = 0;  // of the first in the queue
  std::uint32_t begun_ : 1 = 0;  // TLS has bytes of it that it must be given again, from the same place
};

}  // namespace await::ngx
