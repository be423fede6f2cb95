#include "http/live/job_wait.h"

#include <algorithm>

#include "http/exchange/channels.h"
#include "http/exchange/conditions.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "ngx/guard.h"

namespace await::http {

JobWait::JobWait(ngx_http_request_t *r, core::ResultDetail want, Enrol register_held)
    : Held(r),
      watcher_(process()->jobs(), core::Callback<Result<const core::Job *>>::to<&JobWait::got>(this)) {
  watcher_.read().detail = want;
  watcher_.read().cache = process()->memory(location_conf(r).cache);
  watcher_.trust(location_conf(r).hints == kSigned);
  if (register_held == Enrol::now)
    process()->register_held(*this);
}

Answer JobWait::watch(const Uuid &id, std::int64_t wait_ms) {
  if (wait_ms > 0)
    register_first(id);
  read_second(id, wait_ms);
  return hold();
}

void JobWait::read_second(const Uuid &id, std::int64_t wait_ms) {
  watcher_.read().id = id;
  began_ms_ = process()->now_ms();
  over_ = wait_ms == 0 || process()->draining();
  if (!over_) {
    due_ms_ = began_ms_ + wait_ms;
    process()->due_in(*this, wait_ms);
  }
  reading_.set(1);
  watcher_.restart();
}

void JobWait::on_due() noexcept {
  ngx::guarded(connection()->log, [this] {
    std::int64_t left = due_ms_ - process()->now_ms();
    if (left > 0) {
      process()->due_in(*this, left);  // longer than the wheel goes round
      return;
    }
    over_ = true;
    watcher_.look();  // if a read is under way, another follows it
  });
}

void JobWait::drain() {
  over_ = true;
  if (began_ms_ != 0)
    watcher_.look();
}

void JobWait::got(Result<const core::Job *> job) {
  if (!job) {
    if (!known_ || over_)
      refuse(job.error());
    return;  // a held client sits out what may be a restart
  }
  const core::Job *found = *job;
  auto owner = known_ ? std::nullopt : owner_of(r_);  // whose job it is never changes
  if (found == nullptr || (owner && found->owner != *owner)) {
    refuse({Code::not_found, "no such job"});
    return;
  }
  if (!known_ && asks_conditions() && has_conditions(r_) &&
      !conditions_hold(r_, etags(*found), found->updated_at)) {
    finish(send_problem(r_, 412,
                        "The job does not satisfy the preconditions of the request, such as If-Match."));
    return;
  }
  known_ = true;
  reading_.set(0);
  bool done = enough(*found);
  if (done || over_) {
    if (!revive())
      return;
    facts(r_).state = core::state_name(found->state);
    if (watcher_.read().cache != nullptr)
      facts(r_).cache = watcher_.read().from_cache ? "HIT" : "MISS";
    facts(r_).held_ms = process()->now_ms() - began_ms_;
    answer(*found, !done);
    return;
  }
  watcher_.seen(found->seq, found->seq);
  if (parked() || !location_conf(r_).park)
    return;
  delivery_ = facts(r_).delivery;
  if (park())
    process()->counters().add(Gauge::parked, 1);
}

void JobWait::on_revive() {
  process()->counters().add(Gauge::parked, -1);
  facts(r_).id = watcher_.read().id.text();
  facts(r_).delivery = delivery_;
}

void JobWait::give_up() {
  if (revive())
    finish(send_restarting(r_));
}

void JobWait::revoke() {
  if (began_ms_ != 0 && revive())
    finish(send_revoked(r_));
}

void JobWait::leave() {
  core::TimerEntry::unlink();
  watcher_.leave();
  reading_.set(0);
}

void JobWait::refuse(const Error &error) {
  if (revive())
    finish(send_error(r_, error));
}

OrAnswer<Uuid> addressed(ngx_http_request_t *r, std::string_view text) {
  auto id = Uuid::parse(text);
  if (!id || !id->is_v7() || !is_admitted(r, "job:" + id->text()))
    return send_problem(r, 404, "There is no such job.");
  facts(r).id = id->text();
  if (process()->past_retention(*id))
    return send_problem(r, 410, "The retention period of this job has passed; it is no longer stored.");
  return *id;
}

OrAnswer<Wait> asked_wait(ngx_http_request_t *r) {
  Wait wait = wait_of(r);
  if (wait.malformed)
    return send_problem(r, 400, "The argument \"wait\" must be a whole number of seconds.");
  return wait;
}

Answer send_revoked(ngx_http_request_t *r) { return send_problem(r, 403, "The session was revoked."); }

bool has_room(ngx_http_request_t *r) {
  if (process()->hub().listeners() < static_cast<std::size_t>(location_conf(r).max_held))
    return true;
  process()->counters().count(Counter::refused_held);
  return false;
}

bool has_too_many_reads(ngx_http_request_t *r) {
  if (process()->counters().of(Gauge::reads) < location_conf(r).max_inflight)
    return false;
  process()->counters().count(Counter::refused_reads);
  return true;
}

Refusal check_room(ngx_http_request_t *r, bool hold) {
  if (hold && !has_room(r))
    return send_unavailable(r, "Too many requests are waiting on this server; retry later.");
  if (has_too_many_reads(r))
    return send_unavailable(r, "Too many requests are waiting for the database; retry later.");
  return std::nullopt;
}

}  // namespace await::http
