#pragma once

#include "core/follow.h"
#include "http/process.h"
#include "http/request.h"
#include "ngx/held.h"

namespace await::http {

/// A request about one job: registers first, reads second, and waits for as long as the client likes
/// and the answer is not there.
class Watch : public ngx::Held, protected core::Listener {
 public:
  void drain() override;

 protected:
  Watch(ngx_http_request_t *r, core::Want want) : Held(r) { need_.want = want; }

  /// Registers with the hub. Before the read, or before the job is even stored.
  void register_first(const Uuid &id);
  /// Reads the job; then waits at most `wait_ms` until it is enough().
  void read_second(const Uuid &id, std::int64_t wait_ms);

  /// Whether the wait is over with this state of the job.
  virtual bool enough(const core::Job &job) const = 0;
  /// Answers; `timed_out`: not enough, but the time is over. Ends with finish().
  virtual void answer(const core::Job &job, bool timed_out) = 0;
  /// The job is not there, or not this client's, or cannot be read.
  virtual void refuse(const Error &error);
  void leave() override;

 private:
  void changed(int seq) noexcept override;
  void on_time() override;
  void apply(core::Follow::Action action);
  void got(Result<const core::Job *> job);
  void set_next_timer();

  core::Follow follow_;
  core::JobNeed need_{core::Callback<Result<const core::Job *>>::to<&Watch::got>(this)};
  std::int64_t began_ms_ = 0;
  std::int64_t deadline_ms_ = 0;
  std::int64_t retry_ms_ = 0;  // 0: none due
  bool over_ = false;          // the time is over, the next read is answered
  bool known_ = false;         // it was read once
};

/// The job that `text` names, noted for $await_id; nothing, with the answer in `rc`, where it is none (404)
/// or of a time that is no longer kept (410).
std::optional<Uuid> addressed(ngx_http_request_t *r, std::string_view text, ngx_int_t *rc);
/// How long the client would wait; nothing, with the answer in `rc`, where ?wait= is malformed (400).
std::optional<Wait> asked_wait(ngx_http_request_t *r, ngx_int_t *rc);

/// Whether this nginx worker may hold another request here.
bool has_room(ngx_http_request_t *r);
/// 503 where it may not; else NGX_OK.
ngx_int_t check_room(ngx_http_request_t *r);

}  // namespace await::http
