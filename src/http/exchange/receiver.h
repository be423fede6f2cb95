#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/exchange/respond.h"
#include "http/runtime/held_request.h"
#include "ngx/body.h"

namespace await::http {

/// Why a body is refused.
struct Objection {
  int status;
  std::string detail;
};

/// A request whose body is read in pieces, and which is answered at the end of the body or when the body is
/// refused. Counted by await_max_inflight; the memory that it needs is counted by await_max_uploads.
class Receiver : public HeldRequest, private ngx::Body::Reader {
 public:
  /// 503 if await_max_inflight is reached. To be called before a receiver is created.
  static Refusal check_room(ngx_http_request_t *r, Runtime &runtime);

  /// Reads the body. The content handler must return the result.
  Answer receive();

  void drain() override {}  // it is answered soon anyway
  void give_up() override;

 protected:
  Receiver(ngx_http_request_t *r, Runtime &runtime) : HeldRequest(r, runtime) {}

  /// The next bytes of the body. Returns why they are refused, if they are.
  virtual std::optional<Objection> add(std::string_view bytes) = 0;
  /// Whether the next bytes must wait for resume().
  virtual bool is_busy() const { return false; }
  /// The size in bytes of what is kept of the body.
  virtual std::size_t weight() const = 0;
  /// The end of the body. May end the request.
  virtual void on_body() = 0;
  /// Cancels everything that this waits for, except for the body.
  virtual void cancel_waits() = 0;

  void resume() {
    weigh();
    body_.resume();
  }
  /// As resume(), when add() has an objection that it did not know before: it is called with no bytes.
  void object() {
    weigh();
    body_.ask();
  }
  void refuse(const Objection &objection) { finish(send_problem(r_, objection.status, objection.detail)); }
  /// The request does not count as in progress any more, but it may be held on.
  void end_progress() {
    inflight_.set(0);
    weigh();
  }
  /// Whether the bodies in this nginx worker use more than half of await_max_uploads, so that this one should
  /// keep less.
  bool is_short_of_memory() const;

 private:
  Pace on_bytes(std::string_view bytes) final;
  void on_end() final;
  void on_refused() final;
  void on_error(ngx_int_t status) final;
  void leave() final;
  Answer answer_unreadable(ngx_int_t status);
  void weigh() { memory_.set(static_cast<std::int64_t>(weight())); }
  std::optional<Objection> check_memory();

  ngx::Body body_{r_, *this};
  ScopedGauge inflight_{Gauge::submissions};
  ScopedGauge memory_{Gauge::uploads, 0};
  std::optional<Objection> objection_;
  bool answered_ = false;  // while the client may still be sending
};

}  // namespace await::http
