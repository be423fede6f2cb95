#include "http/live/sse_connection.h"

#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "ngx/pool.h"
#include "ngx/str.h"
#include "ngx/tls.h"

namespace await::http {

void SseConnection::begin_output() {
  bind_request();
  out_ = ngx::make<ngx::FilterOutput>(r_->pool, r_);
}

bool SseConnection::send_head() {
  r_->headers_out.status = NGX_HTTP_OK;
  r_->headers_out.content_type = ngx::borrow("text/event-stream");
  r_->headers_out.content_type_len = r_->headers_out.content_type.len;
  r_->headers_out.content_length_n = -1;
  r_->disable_not_modified = 1;
  add_header(r_, "Cache-Control", "no-store");
  add_header(r_, "X-Accel-Buffering", "no");
  add_header(r_, "Vary", "Accept");
  ngx_int_t rc = http::send_head(r_);
  if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
    finish(Answer::sent(rc));
    return false;
  }
  sent_ = true;
  if (r_->stream == nullptr && core_conf().tcp_nodelay)
    ngx_tcp_nodelay(r_->connection);  // an event must not wait for the acknowledgement of the one before
  handle_writable();
  schedule_heartbeat();
  return true;
}

void SseConnection::push(std::string_view text) {
  push_bytes(Bytes(is_chunked() ? wire::chunk(text) : std::string(text)));
}

void SseConnection::push_bytes(const Bytes &bytes) {
  if (out_ != nullptr)
    out_->push(bytes);
  else
    queue_.push(bytes);
}

void SseConnection::push_heartbeat() {
  push_bytes(runtime_.heartbeats().sse_beat(visible_beat_, is_chunked()));
}

SseConnection::Written SseConnection::send() {
  if (out_ == nullptr) {
    ngx_int_t rc = queue_.flush(connection());
    return {rc == NGX_ERROR, rc == NGX_AGAIN, rc == NGX_OK};
  }
  ngx_int_t rc = out_->flush();
  // what a filter holds back for other reasons (gzip) does not wait for the client
  bool waits = out_->pending() > 0 || ngx::is_write_buffered(r_);
  if (rc != NGX_ERROR && !waits && !ended_)
    ngx::release_tls_buffer(r_);
  return {rc == NGX_ERROR, waits, out_->pending() == 0};
}

void SseConnection::finish_response() {
  if (out_ == nullptr)
    LiveConnection::finish_response();
  else
    finish(Answer::sent(ngx_http_send_special(r_, NGX_HTTP_LAST)));  // usually destroys this
}

Answer SseConnection::lost_answer(bool timed_out) const {
  return timed_out ? Answer::timed_out() : Answer::cut();
}

void SseConnection::end_with_retry() {
  if (!send_head())
    return;
  push(wire::sse_retry(retry_ms(conf_, runtime_.random())));
  end();
}

void SseConnection::drain() {
  if (closing_)
    return;
  if (sent_)
    end();  // the clients return after `retry`, spread over that time, and continue at their cursors
  else
    end_with_retry();
}

void SseConnection::end() {
  closing_ = ended_ = true;
  leave();
  if (parked() && chunked())
    queue_.push(runtime_.heartbeats().last_chunk());
  if (!parked()) {
    RequestInfo &info = request_info(r_);
    restore_info(info);
    info.held_ms = held_ms();
  }
  write();
}

}  // namespace await::http
