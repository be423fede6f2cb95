#include "ngx/send_queue.h"

#include <algorithm>

#include "ngx/tls.h"

namespace await::ngx {
namespace {

constexpr std::size_t kGather = 64;     // buffers in one writev, as nginx itself has it
constexpr std::size_t kRecord = 16384;  // what TLS writes at once (RFC 8446 §5.1)

u_char *begin_of(const Bytes &bytes) { return reinterpret_cast<u_char *>(const_cast<char *>(bytes.data())); }

}  // namespace

ngx_int_t SendQueue::flush(ngx_connection_t *c) {
  std::size_t done = 0;
  if (c->buffered != 0 && c->write->ready && c->send_chain(c, nullptr, 0) == NGX_CHAIN_ERROR)
    c->error = 1;  // TLS had kept a record back
  while (done < queue_.size() && c->write->ready && c->buffered == 0 && !c->error) {
    // usually there is one buffer, and send() is cheaper than writev(); a write that TLS has begun must be
    // finished in the same way, even if more was pushed since
    bool one = begun_ != 0 || done + 1 == queue_.size();
    if (!(one ? send_one(c, done) : send_many(c, done)))
      break;
  }
  if (c->error)
    return NGX_ERROR;
  if (done == queue_.size() && c->buffered == 0) {
    std::vector<Bytes>().swap(queue_);
    release_tls_buffer(c);
    return NGX_OK;
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(done));
  return NGX_AGAIN;
}

/// Sends the first buffer from its own memory. Returns false if no more can be sent now.
bool SendQueue::send_one(ngx_connection_t *c, std::size_t &done) {
  const Bytes &bytes = queue_[done];
  std::size_t size = bytes.size() - sent_;
  if (c->ssl != nullptr)
    // otherwise a large buffer would count as sent, also for send_timeout, only as a whole
    size = std::min(size, kRecord);
  ssize_t n = c->send(c, begin_of(bytes) + sent_, size);
  if (n == NGX_ERROR) {
    c->error = 1;
    return false;
  }
  begun_ = n <= 0 && c->ssl != nullptr;
  if (n <= 0)
    return false;
  pending_ -= static_cast<std::uint32_t>(n);
  sent_ += static_cast<std::uint32_t>(n);
  if (sent_ == bytes.size()) {
    sent_ = 0;
    ++done;
  }
  return true;
}

/// Sends several buffers together: by writev(), or in nginx's buffer for TLS records. Returns false if the
/// client has disconnected.
bool SendQueue::send_many(ngx_connection_t *c, std::size_t &done) {
  ngx_buf_t buffers[kGather];
  ngx_chain_t links[kGather];
  std::size_t n = std::min(queue_.size() - done, kGather);
  for (std::size_t i = 0; i < n; ++i) {
    const Bytes &bytes = queue_[done + i];
    buffers[i] = ngx_buf_t{};
    buffers[i].pos = buffers[i].start = begin_of(bytes) + (i == 0 ? sent_ : 0);
    buffers[i].last = buffers[i].end = begin_of(bytes) + bytes.size();
    buffers[i].memory = 1;
    buffers[i].flush = i + 1 == n ? 1 : 0;
    links[i] = {&buffers[i], i + 1 == n ? nullptr : &links[i + 1]};
  }
  if (c->send_chain(c, links, 0) == NGX_CHAIN_ERROR) {
    c->error = 1;
    return false;
  }
  account_for(buffers, n, done);
  return true;
}

/// Takes from pending_ what send_chain() has sent: it has moved `pos` of each buffer past its sent bytes.
/// Buffers are sent in order, so the whole ones come first, then at most one that is sent in part; sent_
/// always belongs to queue_[done], and of the first buffer it was deducted before.
void SendQueue::account_for(const ngx_buf_t *buffers, std::size_t n, std::size_t &done) {
  std::size_t whole = 0;
  while (whole < n && buffers[whole].pos == buffers[whole].last) {
    pending_ -= static_cast<std::uint32_t>(queue_[done + whole].size()) - (whole == 0 ? sent_ : 0);
    ++whole;
  }
  if (whole > 0)
    sent_ = 0;
  done += whole;
  if (whole < n) {
    auto sent = static_cast<std::uint32_t>(buffers[whole].pos - begin_of(queue_[done]));
    pending_ -= sent - sent_;
    sent_ = sent;
  }
}

}  // namespace await::ngx
