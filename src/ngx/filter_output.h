#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// A response body that is written over a long time through nginx's filters. Shared Bytes are sent by
/// reference. The chain links and buffers are reused, so that the pool of the request does not grow.
class FilterOutput {
 public:
  explicit FilterOutput(ngx_http_request_t *r) : r_(r) {}
  FilterOutput(const FilterOutput &) = delete;
  FilterOutput &operator=(const FilterOutput &) = delete;
  ~FilterOutput();

  void push(const Bytes &bytes);
  /// Passes everything that was pushed to nginx's filters, and flushes. Returns NGX_OK if everything was
  /// sent, NGX_AGAIN if it must be called again when the connection is writable, NGX_ERROR if the client has
  /// disconnected.
  ngx_int_t flush();
  /// The number of bytes pushed but not sent.
  std::size_t pending() const { return pending_; }

 private:
  struct Link;  // a chain link, its buffer, and the Bytes that it refers to
  void sweep();

  ngx_http_request_t *r_;
  Link *free_ = nullptr;
  Link *queued_ = nullptr;  // pushed
  Link **queued_end_ = &queued_;
  Link *busy_ = nullptr;  // with the filters
  Link **busy_end_ = &busy_;
  std::size_t pending_ = 0;
};

}  // namespace await::ngx
