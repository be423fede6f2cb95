#include "ngx/body.h"

#include <algorithm>

#include "ngx/bind.h"
#include "ngx/guard.h"

namespace await::ngx {
ngx_int_t Body::start() {
  bind(r_, this);
  r_->request_body_no_buffering = 1;
  ngx_int_t rc = ngx_http_read_client_request_body(r_, on_begin);
  return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

void Body::on_begin(ngx_http_request_t *r) {
  r->read_event_handler = on_readable;
  guarded(r->connection->log, [r] { bound<Body>(r)->pump(); });
}

void Body::on_readable(ngx_http_request_t *r) {
  Body *self = bound<Body>(r);
  if (!self->waiting_)
    guarded(r->connection->log, [self] { self->pump(); });
}

void Body::resume() {
  if (stopped_)
    return;
  waiting_ = false;
  pump();
}

void Body::pump() {
  while (!stopped_) {
    if (!hand_over())
      return;
    if (!r_->reading_body) {
      stopped_ = true;
      r_->read_event_handler = ngx_http_block_reading;
      taker_.taken();
      return;
    }
    ngx_int_t rc = ngx_http_read_unbuffered_request_body(r_);
    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
      stopped_ = true;
      r_->read_event_handler = ngx_http_block_reading;
      taker_.broken(rc);
      return;
    }
    if (rc == NGX_AGAIN && r_->request_body->bufs == nullptr)
      return;
  }
}

/// Gives everything that was read to the taker. False: the taker waits or has stopped; it may be gone.
bool Body::hand_over() {
  while (r_->request_body != nullptr && r_->request_body->bufs != nullptr) {
    ngx_chain_t *link = r_->request_body->bufs;
    Taker::Pace pace = take_buffer(link->buf);
    if (pace == Taker::Pace::stop)
      return false;
    if (ngx_buf_size(link->buf) == 0) {
      r_->request_body->bufs = link->next;
      ngx_free_chain(r_->pool, link);
    }
    if (pace == Taker::Pace::wait) {
      waiting_ = true;
      if (r_->connection->read->timer_set) {
        ngx_del_timer(r_->connection->read);  // it is us who are slow
      }
      return false;
    }
  }
  return true;
}

Body::Taker::Pace Body::take_buffer(ngx_buf_t *buffer) {
  if (!buffer->in_file || ngx_buf_in_memory(buffer)) {
    std::string_view bytes(reinterpret_cast<char *>(buffer->pos),
                           static_cast<std::size_t>(buffer->last - buffer->pos));
    buffer->pos = buffer->last;
    return bytes.empty() ? Taker::Pace::more : taker_.take(bytes);
  }
  // another module (mirror, auth_request) has read the body before us, into nginx's temporary file
  char piece[16384];
  auto size = static_cast<std::size_t>(std::min<off_t>(buffer->file_last - buffer->file_pos, sizeof piece));
  ssize_t n = ngx_read_file(buffer->file, reinterpret_cast<u_char *>(piece), size, buffer->file_pos);
  if (n <= 0) {
    stopped_ = true;
    taker_.broken(NGX_HTTP_INTERNAL_SERVER_ERROR);
    return Taker::Pace::stop;
  }
  buffer->file_pos += n;
  return taker_.take({piece, static_cast<std::size_t>(n)});
}

}  // namespace await::ngx
