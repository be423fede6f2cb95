#include "ngx/body.h"

#include <algorithm>

#include "ngx/bind.h"
#include "ngx/guard.h"

namespace await::ngx {
namespace {

constexpr std::size_t kPiece = 16384;  // of a file, at once
#if (NGX_HTTP_V2)
constexpr std::size_t kWholeFrame = 16384 + 256;  // SETTINGS_MAX_FRAME_SIZE as nginx has it, and padding
#endif
constexpr unsigned kMostLinks = 64;  // nginx walks over them at each read
constexpr unsigned kMostReads = 64;  // in one event, then others have their turn

bool is_behind(const ngx_buf_t *first, const ngx_buf_t *second) {
  return first->last == second->pos && ngx_buf_in_memory(first) && ngx_buf_in_memory(second) &&
         !first->in_file && !second->in_file;
}

}  // namespace

std::optional<ngx_int_t> Body::start(bool whole) {
  if (!is_whole()) {
    stopped_ = true;
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  bind(r_, this);
  lent_ = whole || r_ != r_->main || r_->request_body != nullptr || r_->discard_body;
  r_->request_body_no_buffering = lent_ ? 0 : 1;
  ngx_int_t rc = ngx_http_read_client_request_body(r_, on_begin);
  if (rc < NGX_HTTP_SPECIAL_RESPONSE)
    return std::nullopt;
  stopped_ = true;
  return rc;
}

/// Checks before reading starts whether the body is complete: false if this or another module (an upstream
/// without proxy_request_buffering) has consumed it or is still reading it.
bool Body::is_whole() const {
  const Body *before = bound<Body>(r_->main);
  if (r_->reading_body || (before != nullptr && before->lost_))
    return false;
  off_t length = r_->headers_in.content_length_n;
  if (r_->request_body == nullptr || length <= 0)
    return true;
  off_t size = 0;
  for (ngx_chain_t *link = r_->request_body->bufs; link != nullptr; link = link->next)
    size += ngx_buf_size(link->buf);
  return size == length;
}

void Body::on_begin(ngx_http_request_t *r) {
  r->read_event_handler = on_readable;
  guarded(r->connection->log, [r] { the_bound<Body>(r)->pump(); });
}

void Body::on_readable(ngx_http_request_t *r) {
  Body *self = the_bound<Body>(r);
  if (!self->waiting_)
    guarded(r->connection->log, [self] { self->pump(); });
}

void Body::resume() {
  if (stopped_)
    return;
  waiting_ = false;
  pump();
}

void Body::ask() {
  if (stopped_)
    return;
  waiting_ = false;
  if (go_at(reader_.on_bytes({})))
    pump();
}

void Body::stop() {
  if (!stopped_)
    end();
}

/// Stops reading. An incomplete body must not be used: an upstream would expect bytes that do not come.
void Body::end() {
  stopped_ = true;
  if (r_->read_event_handler == on_readable)
    r_->read_event_handler = ngx_http_block_reading;
  if (!used_ && !r_->reading_body)
    return;
  lost_ = true;
  r_->headers_in.content_length_n = -1;
  r_->headers_in.chunked = 0;
  if (r_->request_body != nullptr)
    r_->request_body->bufs = nullptr;
}

void Body::pump() {
  for (unsigned reads = 0; !stopped_; ++reads) {
    if (!hand_over())
      return;
    if (!r_->reading_body || (skip_until_ != 0 && ngx_time() > skip_until_)) {
      end();
      reader_.on_end();
      return;
    }
    ngx_event_t *event = r_->connection->read;
    if (reads == kMostReads && event->ready) {
      ngx_post_event(event, &ngx_posted_next_events);
      return;
    }
    if (is_full())
      use_up();
    ngx_int_t rc = ngx_http_read_unbuffered_request_body(r_);
    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
      end();
      reader_.on_error(rc);
      return;
    }
    if (rc == NGX_AGAIN && next() == nullptr)
      return;
  }
}

ngx_chain_t *Body::next() const {
  if (last_ != nullptr)
    return last_->next;
  return r_->request_body != nullptr ? r_->request_body->bufs : nullptr;
}

/// Passes everything that was read to the reader. Returns false if the reader waits or has finished; it may
/// have been destroyed.
bool Body::hand_over() {
  char piece[kPiece];
  while (ngx_chain_t *link = next()) {
    if (skip_until_ != 0) {
      step(link);
      continue;
    }
    ngx_buf_t *buffer = link->buf;
    std::string_view bytes;
    off_t size = buffer->file_last - buffer->file_pos;
    bool in_file = buffer->in_file && !ngx_buf_in_memory(buffer);
    if (!in_file) {
      bytes = {reinterpret_cast<char *>(buffer->pos), static_cast<std::size_t>(buffer->last - buffer->pos)};
    } else if (file_at_ < size) {
      auto most = static_cast<std::size_t>(std::min<off_t>(size - file_at_, kPiece));
      ssize_t n =
          ngx_read_file(buffer->file, reinterpret_cast<u_char *>(piece), most, buffer->file_pos + file_at_);
      if (n <= 0) {
        end();
        reader_.on_error(NGX_HTTP_INTERNAL_SERVER_ERROR);
        return false;
      }
      file_at_ += n;
      bytes = {piece, static_cast<std::size_t>(n)};
    }
    if (!in_file || file_at_ >= size)
      step(link);
    auto pace = bytes.empty() ? Reader::Pace::more : reader_.on_bytes(bytes);
    if (!go_at(pace))
      return false;
  }
  return true;
}

/// Does what the reader has said. False: it waits or has finished, and may have been destroyed.
bool Body::go_at(Reader::Pace pace) {
  switch (pace) {
    case Reader::Pace::more:
      return true;
    case Reader::Pace::skip:
      skip();
      return true;
    case Reader::Pace::stop:
      end();
      reader_.on_refused();
      return false;
    case Reader::Pace::wait:
      break;
  }
  waiting_ = true;
  if (r_->connection->read->timer_set)
    ngx_del_timer(r_->connection->read);  // this module is slow, not the client
  return false;
}

/// Discards the rest for as long as nginx lingers on a connection after the response.
void Body::skip() {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r_, ngx_http_core_module));
  skip_until_ = ngx_time() + static_cast<time_t>(core->lingering_time / 1000) + 1;
  if (!lent_ && !used_)
    use_up();
  reader_.on_refused();
}

/// Marks the link as taken. Its bytes stay in memory until they are consumed.
void Body::step(ngx_chain_t *link) {
  file_at_ = 0;
  ngx_buf_t *buffer = link->buf;
  if (used_) {
    buffer->pos = buffer->last;
    r_->request_body->bufs = link->next;
    ngx_free_chain(r_->pool, link);
  } else if (!lent_ && last_ != nullptr && is_behind(last_->buf, buffer)) {
    // merge small reads into one link
    last_->buf->last = buffer->last;
    last_->buf->last_buf |= buffer->last_buf;
    buffer->pos = buffer->last;
    last_->next = link->next;
    ngx_free_chain(r_->pool, link);
  } else {
    last_ = link;
    ++links_;
  }
}

/// Whether nginx cannot read more while the bytes that it has read are kept.
bool Body::is_full() const {
  if (lent_ || used_)
    return false;
  const ngx_buf_t *buffer = r_->request_body->buf;
  bool full = links_ > kMostLinks || (buffer != nullptr && buffer->last == buffer->end);
#if (NGX_HTTP_V2)
  // the window is enlarged when bytes are taken; a client may wait until a whole frame fits, including
  // padding
  full = full || (r_->stream != nullptr && r_->stream->recv_window < kWholeFrame);
#endif
  return full;
}

void Body::use_up() {
  used_ = true;
  ngx_chain_t *end = next();
  while (r_->request_body->bufs != end) {
    ngx_chain_t *link = r_->request_body->bufs;
    link->buf->pos = link->buf->last;
    r_->request_body->bufs = link->next;
    ngx_free_chain(r_->pool, link);
  }
  last_ = nullptr;
}

}  // namespace await::ngx
