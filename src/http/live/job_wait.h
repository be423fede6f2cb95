#pragma once

#include <string>
#include <vector>

#include "core/watcher.h"
#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/live/held_poll.h"
#include "http/runtime/held_request.h"

namespace await::http {

/// A request about one job: registers first, reads second, and waits, parked if possible, until the answer
/// is there or the time is over.
class JobWait : public HeldPoll {
 public:
  void revoke() override;

 protected:
  /// `later`: the derived class registers the request itself, when it is its own.
  enum class Registration : bool { later, now };
  JobWait(ngx_http_request_t *r, Runtime &runtime, core::ResultDetail detail,
          Registration registration = Registration::now);

  /// Registers if the client is willing to wait, then reads. A content handler returns the result, after
  /// check_room().
  Answer watch(const Uuid &id, std::int64_t wait_ms);
  void read_uncached() { watcher_.read().cache = nullptr; }
  /// Registers with the hub. Before the read, or before the job is even stored.
  void register_first(const Uuid &id) { watcher_.listen(id); }
  /// Reads the job, then waits at most `wait_ms` until it is enough().
  void read_second(const Uuid &id, std::int64_t wait_ms);

  /// Whether the wait is over with this state of the job. Also called while parked.
  virtual bool enough(const core::Job &job) const = 0;
  /// Whether the conditions of the request (If-Match) are about the job.
  virtual bool asks_conditions() const { return true; }
  /// The validators of each representation of the job, for the conditions of the request.
  virtual std::vector<std::string> etags(const core::Job &) const { return {}; }
  /// Answers. `timed_out`: the job is not enough(), but the time is over. Ends with finish(), so it usually
  /// destroys this.
  virtual void answer(const core::Job &job, bool timed_out) = 0;
  /// The job does not exist, is not this client's, or cannot be read. Usually destroys this.
  virtual void refuse(const Error &error);
  void leave() override;

 private:
  void on_job(Result<const core::Job *> job);
  void read_last() override;
  void restore_info(RequestInfo &info) override;

  bool known_ = false;  // it was read once; first, so that it takes no memory of its own
  core::Watcher<core::JobRead> watcher_;
  ScopedGauge reading_{Gauge::reads, 0};  // until it was read once
  std::int64_t began_ms_ = 0;             // 0: nothing was asked yet
  const char *delivery_ = "";
};

/// The job or batch of the id `text`, which is also stored for $await_id. An answer if it is not the id of
/// one, or the ticket of the client is not for it (404), or its retention period has passed (410).
/// @param kind  job or batch: an id of the other kind names nothing here
OrAnswer<Uuid> addressed(ngx_http_request_t *r, Runtime &runtime, std::string_view text,
                         core::Kind kind = core::Kind::job);
/// How long the client is willing to wait. An answer if ?wait= is malformed (400).
OrAnswer<Wait> asked_wait(ngx_http_request_t *r);

/// Whether await_max_held lets this nginx worker hold another request. Counts if not.
bool has_room(const LocationConf &location, Runtime &runtime);
/// Whether as many requests wait for PostgreSQL as await_max_inflight allows. Counts if so.
bool has_too_many_reads(const LocationConf &location, Runtime &runtime);
/// 503 if one of these limits is reached. Call before anything is made for the request.
/// @param hold  whether the request would be held
Refusal check_room(ngx_http_request_t *r, Runtime &runtime, bool hold);

}  // namespace await::http
