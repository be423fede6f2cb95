#include "ngx/filter_output.h"

#include <new>

namespace await::ngx {

struct FilterOutput::Link {
  ngx_buf_t buffer;
  Bytes bytes;
  Link *next;
};

FilterOutput::~FilterOutput() {
  // the links themselves are in the pool
  for (Link *list : {queued_, busy_}) {
    for (Link *link = list; link != nullptr; link = link->next)
      link->bytes = Bytes();
  }
}

void FilterOutput::push(const Bytes &bytes) {
  Link *link = free_;
  if (link != nullptr) {
    free_ = link->next;
  } else {
    link = static_cast<Link *>(ngx_palloc(r_->pool, sizeof(Link)));
    if (link == nullptr)
      throw std::bad_alloc();
    new (link) Link{};
  }
  link->buffer = ngx_buf_t{};
  link->bytes = bytes;
  link->next = nullptr;
  auto *data = reinterpret_cast<u_char *>(const_cast<char *>(link->bytes.data()));
  link->buffer.start = link->buffer.pos = data;
  link->buffer.end = link->buffer.last = data + bytes.size();
  link->buffer.memory = 1;  // read-only: filters that change it copy it
  link->buffer.tag = &ngx_http_core_module;
  *queued_end_ = link;
  queued_end_ = &link->next;
  pending_ += bytes.size();
}

ngx_int_t FilterOutput::flush() {
  ngx_chain_t *chain = nullptr;
  ngx_chain_t **end = &chain;
  for (Link *link = queued_; link != nullptr; link = link->next) {
    ngx_chain_t *item = ngx_alloc_chain_link(r_->pool);
    if (item == nullptr)
      return NGX_ERROR;
    link->buffer.flush = link->next == nullptr ? 1 : 0;
    item->buf = &link->buffer;
    item->next = nullptr;
    *end = item;
    end = &item->next;
  }
  if (queued_ != nullptr) {
    *busy_end_ = queued_;
    busy_end_ = queued_end_;
    queued_ = nullptr;
    queued_end_ = &queued_;
  }
  ngx_int_t rc = ngx_http_output_filter(r_, chain);
  while (chain != nullptr) {  // the write filter uses links of its own
    ngx_chain_t *next = chain->next;
    ngx_free_chain(r_->pool, chain);
    chain = next;
  }
  sweep();
  if (rc == NGX_ERROR)
    return NGX_ERROR;
  return r_->buffered || r_->connection->buffered || busy_ != nullptr ? NGX_AGAIN : NGX_OK;
}

void FilterOutput::sweep() {
  while (busy_ != nullptr && ngx_buf_size(&busy_->buffer) == 0) {
    Link *link = busy_;
    busy_ = link->next;
    pending_ -= link->bytes.size();
    link->bytes = Bytes();
    link->next = free_;
    free_ = link;
  }
  if (busy_ == nullptr)
    busy_end_ = &busy_;
}

}  // namespace await::ngx
