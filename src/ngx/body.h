#pragma once

#include <optional>
#include <string_view>

#include "ngx/answer.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// Reads a request's body piece by piece, at the pace of whoever takes it: while the taker is busy, nothing
/// more is read from the client. nginx buffers at most client_body_buffer_size.
///
/// The body is lent. A small one, and one that another module has read, stays with the request for whoever
/// takes it after us: a mirror, an error_page, an upstream. One that does not fit nginx's buffer is used up
/// as it is taken; then the request looks to the others as if it had none. Kept alive by: the taker, which
/// lives in the request's pool.
class Body {
 public:
  class Taker {
   public:
    enum class Pace {
      more,
      wait,  ///< nothing before resume()
      stop,  ///< nothing any more: refused() is next, and last
      skip,  ///< the same, but the client may send the rest: refused() is next, and must not end the request
    };
    /// The next bytes. Must not end the request.
    virtual Pace take(std::string_view bytes) = 0;
    // One of these is called, once and last; it may end the request.
    /// All has been taken, or passed over.
    virtual void taken() = 0;
    /// It did not want the rest.
    virtual void refused() = 0;
    /// The body cannot be read: what is `status` answered with (400, 408, 413 …)?
    virtual void broken(ngx_int_t status) = 0;

   protected:
    ~Taker() = default;
  };

  Body(ngx_http_request_t *r, Taker &taker) : r_(r), taker_(taker) {}
  Body(const Body &) = delete;
  Body &operator=(const Body &) = delete;

  /// Begins, from within the content handler. May call the taker at once.
  /// @param whole  nginx reads all of it first, into a file if it is large, so that it stays whole for others
  /// @return nothing where it has begun; else the status for which the body cannot be read (500: somebody has
  /// used
  ///   it up before), and the taker is not told
  std::optional<ngx_int_t> start(bool whole);
  /// The taker has room again. Not from within take().
  void resume();
  /// The taker is called no more.
  void stop();
  /// nginx has set another handler, but the rest is still to be passed over.
  void watch() { r_->read_event_handler = on_readable; }
  /// Whether all of it is there for others still.
  bool is_kept() const { return !used_; }

 private:
  static void on_begin(ngx_http_request_t *r);
  static void on_readable(ngx_http_request_t *r);
  bool is_whole() const;
  void pump();
  void end();
  ngx_chain_t *next() const;
  bool hand_over();
  void skip();
  void step(ngx_chain_t *link);
  bool is_full() const;
  void use_up();

  ngx_http_request_t *r_;
  Taker &taker_;
  ngx_chain_t *last_ = nullptr;  // the last link that was taken; null: none, or none is left
  off_t file_at_ = 0;            // how far the link after that is taken, if it is a file
  unsigned links_ = 0;           // that are kept
  bool lent_ = false;            // it was read for somebody else
  bool used_ = false;
  bool lost_ = false;  // nobody can have all of it any more
  bool waiting_ = false;
  time_t skip_until_ = 0;  // the rest is passed over, and no longer than until then; 0: it is taken
  bool stopped_ = false;
};

}  // namespace await::ngx
