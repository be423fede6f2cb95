#include "http/exchange/receiver.h"

#include "http/exchange/retry.h"

namespace await::http {
namespace {

std::int64_t max_memory(ngx_http_request_t *r) {
  return static_cast<std::int64_t>(location_conf(r).max_uploads);
}

}  // namespace

Refusal Receiver::check_room(ngx_http_request_t *r, Runtime &runtime) {
  Counters &counters = runtime.counters();
  if (counters.of(Gauge::submissions) < location_conf(r).max_inflight)
    return std::nullopt;
  counters.count(Counter::refused_submissions);
  return send_unavailable(r, "Too many submissions are in progress; retry later.");
}

Answer Receiver::receive() {
  if (auto status = body_.start(body_may_go_on(r_)))
    return decline(answer_unreadable(*status));
  return Answer::later();
}

ngx::Body::Reader::Pace Receiver::on_bytes(std::string_view bytes) {
  if (!objection_) {
    objection_ = add(bytes);
    weigh();
    if (!objection_)
      objection_ = check_memory();
    if (!objection_)
      return is_busy() ? Pace::wait : Pace::more;
  }
  if (body_.is_kept() && page_takes_body(r_, objection_->status))
    return Pace::more;  // the error_page gets the whole body, which is small
  // HTTP/1.1 lingers by itself. Some clients, curl 7.88 among them, lose the answer of an HTTP/2 stream that
  // is reset behind it (RFC 9113 §8.1) while they are sending.
  return r_->stream != nullptr && r_->reading_body ? Pace::skip : Pace::stop;
}

bool Receiver::is_short_of_memory() const {
  return runtime_.counters().of(Gauge::uploads) > max_memory(r_) / 2;
}

std::optional<Objection> Receiver::check_memory() {
  if (runtime_.counters().of(Gauge::uploads) <= max_memory(r_))
    return std::nullopt;
  runtime_.counters().count(Counter::refused_uploads);
  add_retry_after(r_);
  return Objection{503, "The request bodies in progress use too much memory; retry later."};
}

void Receiver::on_end() {
  if (answered_) {
    ngx::finalize(r_, Answer::later());
    return;
  }
  watch_client();
  if (objection_)
    refuse(*objection_);
  else
    on_body();
}

void Receiver::on_refused() {
  answered_ = r_->stream != nullptr && r_->reading_body;
  if (!answered_) {
    refuse(*objection_);
    return;
  }
  ++r_->main->count;  // the response ends one side of the stream only
  refuse(*objection_);
  body_.watch();
}

void Receiver::on_error(ngx_int_t status) {
  if (answered_)
    ngx::finalize(r_, Answer::later());
  else
    finish(answer_unreadable(status));
}

/// After a body that cannot be read to its end it is not known where the next request begins.
Answer Receiver::answer_unreadable(ngx_int_t status) {
  if (status != NGX_HTTP_INTERNAL_SERVER_ERROR || r_->reading_body)
    r_->keepalive = 0;
  if (r_->connection->error || status == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    return Answer::client_left();
  if (objection_)
    return send_problem(r_, objection_->status, objection_->detail);
  if (status == NGX_HTTP_REQUEST_TIME_OUT)
    return Answer::timed_out();
  if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE)
    return send_problem(r_, 413, "The request body is too large for this resource.");
  if (status == NGX_HTTP_BAD_REQUEST)
    return send_problem(r_, 400, "The request body violates the framing rules of HTTP.");
  ngx_log_error(NGX_LOG_ERR, r_->connection->log, 0,
                "await: answering 500: cannot read the request body, another module may have consumed it "
                "(proxy_request_buffering off)");
  return send_logged_problem(r_, 500, "The request body is no longer available.");
}

void Receiver::give_up() { finish(send_restarting(r_)); }

void Receiver::leave() {
  cancel_waits();
  inflight_.set(0);
  memory_.set(0);
  if (!answered_)
    body_.stop();
}

}  // namespace await::http
