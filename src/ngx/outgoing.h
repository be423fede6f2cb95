#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// A response body that is written bit by bit, for hours if need be: shared Bytes go out by reference,
/// and what nginx needs to hold them is used again, so that the request's pool does not grow.
class Outgoing {
 public:
  explicit Outgoing(ngx_http_request_t *r) : r_(r) {}
  Outgoing(const Outgoing &) = delete;
  Outgoing &operator=(const Outgoing &) = delete;
  ~Outgoing();

  void push(const Bytes &bytes);
  /// Hands everything pushed to nginx's filters, flushing. NGX_OK: all is sent; NGX_AGAIN: call again
  /// when the connection is writable; NGX_ERROR: the client is gone.
  ngx_int_t flush();
  /// Bytes pushed and not sent.
  std::size_t pending() const { return pending_; }

 private:
  struct Link;  // a chain link, its buffer, and what it refers to
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
