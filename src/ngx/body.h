#pragma once

#include <string_view>

#include "ngx/nginx.h"

namespace await::ngx {

/// Reads a request's body piece by piece, at the pace of whoever takes it: while the taker is busy,
/// nothing more is read from the client. nginx buffers at most client_body_buffer_size.
/// Kept alive by: the taker, which lives in the request's pool.
class Body {
 public:
  class Taker {
   public:
    enum class Pace { more, wait, stop };
    /// The next bytes. `wait`: do not call again before resume(). `stop`: never again.
    virtual Pace take(std::string_view bytes) = 0;
    /// All has been taken.
    virtual void taken() = 0;
    /// nginx gives up on the body: `status` is its answer (400, 408, 413 …). Called once, and last.
    virtual void broken(ngx_int_t status) = 0;

   protected:
    ~Taker() = default;
  };

  Body(ngx_http_request_t *r, Taker &taker) : r_(r), taker_(taker) {}
  Body(const Body &) = delete;
  Body &operator=(const Body &) = delete;

  /// Called by the content handler, which returns what this returns. May call the taker at once.
  ngx_int_t start();
  /// The taker has room again. Not from within take().
  void resume();
  /// The taker is called no more.
  void stop() { stopped_ = true; }

 private:
  static void on_begin(ngx_http_request_t *r);
  static void on_readable(ngx_http_request_t *r);
  void pump();
  bool hand_over();
  Taker::Pace take_buffer(ngx_buf_t *buffer);

  ngx_http_request_t *r_;
  Taker &taker_;
  bool waiting_ = false;
  bool stopped_ = false;
};

}  // namespace await::ngx
