#include "ngx/backlog.h"

#include <algorithm>

extern "C" void ngx_ssl_free_buffer(ngx_connection_t *c) __attribute__((weak));

namespace await::ngx {
namespace {
constexpr std::size_t kGather = 64;  // buffers in one writev, as nginx itself has it
}

ngx_int_t Backlog::flush(ngx_connection_t *c) {
  std::size_t done = 0;
  if (c->buffered != 0 && c->write->ready)
    c->send_chain(c, nullptr, 0);  // TLS keeps a record back
  while (done < queue_.size() && c->write->ready && !c->error) {
    if (done + 1 == queue_.size()) {  // mostly: one send is cheaper than a writev
      const Bytes &bytes = queue_[done];
      auto *data = reinterpret_cast<u_char *>(const_cast<char *>(bytes.data()));
      ssize_t n = c->send(c, data + sent_, bytes.size() - sent_);
      if (n == NGX_ERROR) {
        c->error = 1;
        break;
      }
      if (n <= 0)
        break;
      pending_ -= static_cast<std::uint32_t>(n);
      sent_ += static_cast<std::uint32_t>(n);
      if (sent_ == bytes.size()) {
        sent_ = 0;
        ++done;
      }
      continue;
    }
    ngx_buf_t buffers[kGather];
    ngx_chain_t links[kGather];
    std::size_t n = std::min(queue_.size() - done, kGather);
    for (std::size_t i = 0; i < n; ++i) {
      const Bytes &bytes = queue_[done + i];
      auto *data = reinterpret_cast<u_char *>(const_cast<char *>(bytes.data()));
      buffers[i] = ngx_buf_t{};
      buffers[i].pos = buffers[i].start = data + (i == 0 ? sent_ : 0);
      buffers[i].last = buffers[i].end = data + bytes.size();
      buffers[i].memory = 1;
      buffers[i].flush = i + 1 == n ? 1 : 0;
      links[i] = {&buffers[i], i + 1 == n ? nullptr : &links[i + 1]};
    }
    ngx_chain_t *rest = c->send_chain(c, links, 0);
    if (rest == NGX_CHAIN_ERROR) {
      c->error = 1;
      return NGX_ERROR;
    }
    std::size_t whole = 0;
    while (whole < n && buffers[whole].pos == buffers[whole].last) {
      pending_ -= static_cast<std::uint32_t>(queue_[done + whole].size()) - (whole == 0 ? sent_ : 0);
      ++whole;
    }
    if (whole > 0)
      sent_ = 0;
    done += whole;
    if (whole < n) {
      auto *data = reinterpret_cast<u_char *>(const_cast<char *>(queue_[done].data()));
      auto sent = static_cast<std::uint32_t>(buffers[whole].pos - data);
      pending_ -= sent - sent_;
      sent_ = sent;
    }
  }
  if (c->error)
    return NGX_ERROR;
  if (done == queue_.size() && c->buffered == 0) {
    std::vector<Bytes>().swap(queue_);
    if (c->ssl != nullptr && ngx_ssl_free_buffer != nullptr)
      ngx_ssl_free_buffer(c);
    return NGX_OK;
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(done));
  return NGX_AGAIN;
}

}  // namespace await::ngx
