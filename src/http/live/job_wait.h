#pragma once

#include <string>
#include <vector>

#include "core/timer_wheel.h"
#include "core/watcher.h"
#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/runtime/process.h"
#include "ngx/held.h"

namespace await::http {

/// A request about one job: registers first, reads second, and waits, parked if it can be, for as long as
/// the client likes and the answer is not there.
class JobWait : public ngx::Held, private core::TimerEntry {
 public:
  void drain() override;
  void revoke() override;

 protected:
  /// What it does not enrol itself, its owner does when the request is its own.
  enum class Enrol : bool { later, now };
  JobWait(ngx_http_request_t *r, core::ResultDetail want, Enrol register_held = Enrol::now);

  /// Registers if the client would wait; then reads. What a content handler returns, after check_room().
  Answer watch(const Uuid &id, std::int64_t wait_ms);
  /// Registers with the hub. Before the read, or before the job is even stored.
  void register_first(const Uuid &id) { watcher_.listen(id); }
  /// Reads the job; then waits at most `wait_ms` until it is enough().
  void read_second(const Uuid &id, std::int64_t wait_ms);

  /// Whether the wait is over with this state of the job. Asked while parked, too.
  virtual bool enough(const core::Job &job) const = 0;
  /// Whether the request's conditions are about what it watches.
  virtual bool asks_conditions() const { return true; }
  /// The validators of what it is about, for the request's conditions: of each of its representations.
  virtual std::vector<std::string> etags(const core::Job &) const { return {}; }
  /// Answers; `timed_out`: not enough, but the time is over. Ends with finish().
  virtual void answer(const core::Job &job, bool timed_out) = 0;
  /// The job is not there, or not this client's, or cannot be read.
  virtual void refuse(const Error &error);
  void give_up() override;
  void leave() override;
  void on_revive() override;

 private:
  void on_due() noexcept override;
  void got(Result<const core::Job *> job);

  core::Watcher<core::JobRead> watcher_;
  ScopedGauge reading_{Gauge::reads, 0};  // until it was read once
  std::int64_t began_ms_ = 0;
  std::int64_t due_ms_ = 0;
  const char *delivery_ = "";
  bool over_ = false;   // the time is over, the next read is answered
  bool known_ = false;  // it was read once
};

/// The job that `text` names, noted for $await_id; an answer where it is none (404) or of a time that is no
/// longer kept (410).
OrAnswer<Uuid> addressed(ngx_http_request_t *r, std::string_view text);
/// How long the client would wait; an answer where ?wait= is malformed (400).
OrAnswer<Wait> asked_wait(ngx_http_request_t *r);

/// What a held request is answered when its owner was revoked.
Answer send_revoked(ngx_http_request_t *r);

/// Whether this nginx worker may hold another request here. A no is counted.
bool has_room(ngx_http_request_t *r);
/// Whether so many requests wait for PostgreSQL that another may not. A yes is counted.
bool has_too_many_reads(ngx_http_request_t *r);
/// 503 where it may not, or where too many reads wait for PostgreSQL. To be asked before anything is made of
/// the request.
/// @param hold  whether it would be held
Refusal check_room(ngx_http_request_t *r, bool hold);

}  // namespace await::http
