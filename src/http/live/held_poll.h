#pragma once

#include "core/timer_wheel.h"
#include "http/exchange/respond.h"
#include "http/runtime/held_request.h"
#include "ngx/held.h"

namespace await::http {

struct RequestInfo;

/// A request that is held until its answer is ready or its time is over: the common part of JobWait and
/// EventsPage, which add the read and the answer.
///
/// Functions that may destroy this say so: after such a call nothing of the object may be accessed.
class HeldPoll : public HeldRequest, private core::TimerEntry {
 public:
  /// Ends the time. Does not destroy this, because a read is asynchronous.
  void drain() override;
  /// Answers 503. Usually destroys this.
  void give_up() override;
  /// Answers 403. Usually destroys this.
  void revoke() override;

 protected:
  HeldPoll(ngx_http_request_t *r, Runtime &runtime) : HeldRequest(r, runtime) {}

  /// Starts the time: `wait_ms` from now, over at once if that is 0 or nginx is shutting down.
  void start_time(std::int64_t wait_ms);
  /// Whether the time is over: the next read is answered, whatever it brings.
  bool is_over() const { return over_; }
  /// Nothing to answer yet: parks the connection, if it can be and the location allows it.
  void rest();

  /// The time is over: reads once more. If a read is in progress, another one follows it.
  virtual void read_last() = 0;
  /// The request has been restored: sets what its variables show.
  virtual void restore_info(RequestInfo &info) = 0;
  void leave() override { core::TimerEntry::unlink(); }

 private:
  void on_due() noexcept override;
  void on_revive() final;

  ScopedGauge poll_{Gauge::polls, 0};
  std::int64_t due_ms_ = 0;  // the end of the time; 0: no timer
  bool over_ = false;
};

/// The answer to a held request whose owner was revoked.
Answer send_revoked(ngx_http_request_t *r);

}  // namespace await::http
