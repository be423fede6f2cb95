#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/exchange/respond.h"
#include "http/runtime/counters.h"
#include "ngx/body.h"
#include "ngx/held.h"

namespace await::http {

/// Why a body is refused.
struct Objection {
  int status;
  std::string detail;
};

/// A request whose body is taken in piece by piece, and which is answered when that is done, or when it is
/// refused. It counts among await_max_inflight, and what it holds among await_max_uploads.
class Receiver : public ngx::Held, private ngx::Body::Taker {
 public:
  /// 503 where so many are under way that another may not. To be asked before one is made.
  static Refusal check_room(ngx_http_request_t *r);

  /// Reads the body. What a content handler returns.
  Answer receive();

  void drain() override {}  // what is under way is answered soon
  void give_up() override;

 protected:
  explicit Receiver(ngx_http_request_t *r) : Held(r) {}

  /// The next bytes of the body; what is wrong with them, if anything.
  virtual std::optional<Objection> add(std::string_view bytes) = 0;
  /// Whether more has to wait for resume().
  virtual bool is_busy() const { return false; }
  /// The bytes that it holds of the body.
  virtual std::size_t weight() const = 0;
  /// The body is whole. May end the request.
  virtual void received() = 0;
  /// Lets go of every wait but the body's.
  virtual void let_go() = 0;

  void resume() {
    weigh();
    body_.resume();
  }
  void refuse(const Objection &objection) { finish(send_problem(r_, objection.status, objection.detail)); }
  /// It is under way no more, though it may be held.
  void stored() {
    inflight_.set(0);
    weigh();
  }
  /// Whether the bodies of this nginx worker take so much memory that less should gather.
  bool is_short_of_memory() const;

 private:
  Pace take(std::string_view bytes) final;
  void taken() final;
  void refused() final;
  void broken(ngx_int_t status) final;
  void leave() final;
  Answer answer_broken(ngx_int_t status);
  void weigh() { memory_.set(static_cast<std::int64_t>(weight())); }
  std::optional<Objection> check_memory();

  ngx::Body body_{r_, *this};
  ScopedGauge inflight_{Gauge::submissions};
  ScopedGauge memory_{Gauge::uploads, 0};
  std::optional<Objection> objection_;
  bool answered_ = false;  // and the client may still be sending
};

}  // namespace await::http
