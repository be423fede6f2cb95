#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/respond.h"
#include "ngx/body.h"
#include "ngx/held.h"

namespace await::http {

/// Why a body is refused.
struct Objection {
  int status;
  std::string detail;
};

/// A request whose body is taken in piece by piece, and which is answered when that is done, or when it is
/// refused.
class Receiver : public ngx::Held, private ngx::Body::Taker {
 public:
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
  /// The body is whole. May end the request.
  virtual void received() = 0;

  void resume() { body_.resume(); }
  void refuse(const Objection &objection) { finish(send_problem(r_, objection.status, objection.detail)); }
  /// To be called by those that override it.
  void leave() override { body_.stop(); }

 private:
  Pace take(std::string_view bytes) final;
  void taken() final;
  void refused() final { refuse(*objection_); }
  void broken(ngx_int_t status) final { finish(answer_broken(status)); }
  Answer answer_broken(ngx_int_t status);

  ngx::Body body_{r_, *this};
  std::optional<Objection> objection_;
};

}  // namespace await::http
