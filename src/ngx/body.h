#pragma once

#include <optional>
#include <string_view>

#include "ngx/answer.h"
#include "ngx/nginx.h"

namespace await::ngx {

/// Reads the body of a request in pieces, as fast as the reader accepts them: while the reader is busy,
/// nothing more is read from the client. nginx buffers at most client_body_buffer_size.
///
/// The body is borrowed. A small body, and one that another module has read, stays with the request for later
/// users: a mirror, an error_page, an upstream. A body that does not fit into nginx's buffer is consumed; the
/// request then appears to others to have no body. Kept alive by: the reader, which lives in the pool of the
/// request.
class Body {
 public:
  class Reader {
   public:
    enum class Pace {
      more,
      wait,  ///< give nothing more before resume()
      stop,  ///< give nothing more; on_refused() is called next, as the last call
      skip,  ///< the same, but the client may send the rest: on_refused() must not end the request
    };
    /// The next bytes; none after ask(). Must not end the request.
    virtual Pace on_bytes(std::string_view bytes) = 0;
    // Exactly one of these is called, once, as the last call. It may end the request.
    /// The whole body has been read or discarded.
    virtual void on_end() = 0;
    /// on_bytes() returned `stop` or `skip`.
    virtual void on_refused() = 0;
    /// The body cannot be read; `status` is the status to answer with (400, 408, 413 …).
    virtual void on_error(ngx_int_t status) = 0;

   protected:
    ~Reader() = default;
  };

  Body(ngx_http_request_t *r, Reader &reader) : r_(r), reader_(reader) {}
  Body(const Body &) = delete;
  Body &operator=(const Body &) = delete;

  /// Starts reading, from within the content handler. May call the reader at once.
  /// @param whole  nginx first reads the whole body, into a file if it is large, for use by others too
  /// @return empty if reading has started; else the status to answer with (500: another module has consumed
  ///   the body), and the reader is not called
  std::optional<ngx_int_t> start(bool whole);
  /// The reader accepts bytes again. Must not be called from within on_bytes().
  void resume();
  /// As resume(), but first asks the reader with no bytes: what it has taken before may be refused by now,
  /// and the client may wait for the answer before it sends more.
  void ask();
  /// Stops: the reader is not called any more.
  void stop();
  /// Sets the read handler again after nginx has replaced it, to discard the rest of the body.
  void watch() { r_->read_event_handler = on_readable; }
  /// Whether the whole body is still available to others.
  bool is_kept() const { return !used_; }

 private:
  static void on_begin(ngx_http_request_t *r);
  static void on_readable(ngx_http_request_t *r);
  bool is_whole() const;
  void pump();
  void end();
  ngx_chain_t *next() const;
  bool hand_over();
  bool go_at(Reader::Pace pace);
  void skip();
  void step(ngx_chain_t *link);
  bool is_full() const;
  void use_up();

  ngx_http_request_t *r_;
  Reader &reader_;
  ngx_chain_t *last_ = nullptr;  // the last link taken; null: none, or none is left
  off_t file_at_ = 0;            // how much of the next link is taken, if it is a file
  unsigned links_ = 0;           // that are kept
  bool lent_ = false;            // it was read for another module
  bool used_ = false;
  bool lost_ = false;  // it is no longer complete
  bool waiting_ = false;
  time_t skip_until_ = 0;  // the rest is discarded until this time at most; 0: it is taken
  bool stopped_ = false;
};

}  // namespace await::ngx
