#pragma once

#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include "ngx/nginx.h"

namespace await::ngx {

/// That a request has its answer, or that somebody else will give it. Whoever holds one must not go on with
/// the request; it is handed up until it reaches nginx. Never confused with "all is well", which has another
/// type.
class [[nodiscard]] Answer {
 public:
  /// The response was handed to nginx's output: `rc` is what that returned.
  static Answer sent(ngx_int_t rc) { return Answer(rc); }
  /// nginx makes the response of this status, by error_page if there is one.
  static Answer by_nginx(ngx_int_t status) { return Answer(status); }
  /// The request has an owner that will answer it (ngx/held.h).
  static Answer later() { return Answer(NGX_DONE); }
  /// The client has left: 499 in the access log.
  static Answer client_left() { return Answer(NGX_HTTP_CLIENT_CLOSED_REQUEST); }
  /// The client was too slow: the connection is closed, 408 in the access log.
  static Answer timed_out() { return Answer(NGX_HTTP_REQUEST_TIME_OUT); }
  /// The connection is closed as it is.
  static Answer cut() { return Answer(NGX_ERROR); }

  /// For ngx_http_finalize_request(), or to return from a handler.
  ngx_int_t rc() const { return rc_; }

 private:
  explicit Answer(ngx_int_t rc) : rc_(rc) {}
  ngx_int_t rc_;
};

/// The answer that a check gave; nothing: it has no objection, go on.
using Refusal = std::optional<Answer>;

/// What a check found, or the answer that it gave instead.
template <class T>
class [[nodiscard]] OrAnswer {
 public:
  OrAnswer(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  OrAnswer(Answer answer) : state_(std::in_place_index<1>, answer) {}

  explicit operator bool() const { return state_.index() == 0; }
  T &operator*() { return *value(); }
  T *operator->() { return value(); }
  Answer answer() const {
    assert(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

 private:
  T *value() {
    assert(state_.index() == 0);
    return std::get_if<0>(&state_);
  }
  std::variant<T, Answer> state_;
};

/// Ends the request with its answer; it may be gone afterwards. What nginx puts off (its parent's turn, the
/// rest of its end) runs in an event of its own and never from here, where nginx's own frames may be below
/// us.
inline void finalize(ngx_http_request_t *r, Answer answer) {
  ngx_connection_t *c = r->connection;
  ngx_http_finalize_request(r, answer.rc());
  if (c->fd == static_cast<ngx_socket_t>(-1) || c->destroyed)
    return;
  if (static_cast<ngx_http_request_t *>(c->data)->main->posted_requests != nullptr) {
    ngx_post_event(c->write, &ngx_posted_events);
  }
}

/// The same from an event of our own, below which is no frame of nginx's that knows the request. Also ends a
/// request that nginx has answered and lingers over: its connection has other handlers by then.
inline void finalize_at_once(ngx_http_request_t *r, Answer answer) {
  ngx_connection_t *c = r->connection;
  ngx_http_finalize_request(r, answer.rc());
  ngx_http_run_posted_requests(c);
}

}  // namespace await::ngx
