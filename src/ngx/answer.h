#pragma once

#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include "ngx/nginx.h"

namespace await::ngx {

/// The result of answering a request: it has been answered, or will be answered later. Code that has an
/// Answer must not access the request any more, and must return the Answer to its caller, up to nginx. A
/// check that passed has another type (Refusal), so the two cannot be confused.
class [[nodiscard]] Answer {
 public:
  /// The response was passed to nginx's output, which returned `rc`.
  static Answer sent(ngx_int_t rc) { return Answer(rc); }
  /// nginx makes the response with this status, through error_page if there is one.
  static Answer by_nginx(ngx_int_t status) { return Answer(status); }
  /// The request will be answered later by its owner (ngx/held.h).
  static Answer later() { return Answer(NGX_DONE); }
  /// The client has closed the connection: 499 in the access log.
  static Answer client_left() { return Answer(NGX_HTTP_CLIENT_CLOSED_REQUEST); }
  /// The client was too slow: the connection is closed, 408 in the access log.
  static Answer timed_out() { return Answer(NGX_HTTP_REQUEST_TIME_OUT); }
  /// The connection is closed without completing the response.
  static Answer cut() { return Answer(NGX_ERROR); }

  /// The return code for ngx_http_finalize_request() or of a handler.
  ngx_int_t rc() const { return rc_; }

 private:
  explicit Answer(ngx_int_t rc) : rc_(rc) {}
  ngx_int_t rc_;
};

/// The result of a check: the Answer if the check failed, empty if it passed.
using Refusal = std::optional<Answer>;

/// The value that a check returned, or the Answer if the check failed.
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

/// Ends the request, which may be freed. Posted requests of nginx (the parent of a subrequest, the rest of
/// the finalization) run in a separate event and never from here, because frames of nginx that use the
/// request may be further down the stack.
inline void finalize(ngx_http_request_t *r, Answer answer) {
  ngx_connection_t *c = r->connection;
  ngx_http_finalize_request(r, answer.rc());
  if (c->fd == static_cast<ngx_socket_t>(-1) || c->destroyed)
    return;
  if (static_cast<ngx_http_request_t *>(c->data)->main->posted_requests != nullptr) {
    ngx_post_event(c->write, &ngx_posted_events);
  }
}

/// The same, from an event of this module, when no frame of nginx that uses the request is on the stack. Also
/// ends a request that nginx has answered and for which it lingers: its connection then has other handlers.
inline void finalize_at_once(ngx_http_request_t *r, Answer answer) {
  ngx_connection_t *c = r->connection;
  ngx_http_finalize_request(r, answer.rc());
  ngx_http_run_posted_requests(c);
}

}  // namespace await::ngx
