#include "http/receiver.h"

namespace await::http {

Answer Receiver::receive() {
  if (auto status = body_.start(body_may_go_on(r_)))
    return decline(answer_broken(*status));
  return Answer::later();
}

ngx::Body::Taker::Pace Receiver::take(std::string_view bytes) {
  if (!objection_) {
    objection_ = add(bytes);
    if (!objection_)
      return is_busy() ? Pace::wait : Pace::more;
  }
  // an error_page gets the whole body, if that is small; nobody else waits for it
  bool waits = body_.is_kept() && has_error_page(r_, objection_->status);
  return waits ? Pace::more : Pace::stop;
}

void Receiver::taken() {
  watch_client();
  if (objection_)
    refuse(*objection_);
  else
    received();
}

/// After a body that cannot be read nobody knows where the next request begins.
Answer Receiver::answer_broken(ngx_int_t status) {
  r_->keepalive = 0;
  if (r_->connection->error || status == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    return Answer::client_left();
  if (status == NGX_HTTP_REQUEST_TIME_OUT)
    return Answer::timed_out();
  if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE)
    return send_problem(r_, 413, "The body is larger than this resource takes (client_max_body_size).");
  if (status == NGX_HTTP_BAD_REQUEST)
    return send_problem(r_, 400, "The body is not framed as HTTP has it.");
  ngx_log_error(
      NGX_LOG_ERR, r_->connection->log, 0,
      "await: answering 500: the request's body cannot be read, or another module has used it up before "
      "(proxy_request_buffering off)");
  return send_logged_problem(r_, 500, "The request's body is not there any more.");
}

void Receiver::give_up() {
  finish(r_->header_sent ? Answer::cut() : send_unavailable(r_, "The service restarts just now; try again."));
}

}  // namespace await::http
