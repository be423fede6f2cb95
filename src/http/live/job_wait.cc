#include "http/live/job_wait.h"

#include <algorithm>
#include <utility>

#include "http/exchange/channels.h"
#include "http/exchange/conditions.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/runtime/runtime.h"

namespace await::http {

JobWait::JobWait(ngx_http_request_t *r, Runtime &runtime, core::ResultDetail detail,
                 Registration registration)
    : HeldPoll(r, runtime),
      watcher_(runtime_.job_services(),
               core::Callback<Result<const core::Job *>>::to<&JobWait::on_job>(this)) {
  watcher_.read().detail = detail;
  watcher_.read().cache = runtime_.cache(location_conf(r).cache);
  watcher_.trust(location_conf(r).hints == kSigned);
  if (registration == Registration::now)
    register_held();
}

Answer JobWait::watch(const Uuid &id, std::int64_t wait_ms) {
  if (wait_ms > 0)
    register_first(id);
  read_second(id, wait_ms);
  return hold();
}

void JobWait::read_second(const Uuid &id, std::int64_t wait_ms) {
  watcher_.read().id = id;
  began_ms_ = runtime_.now_ms();
  start_time(wait_ms);
  reading_.set(1);
  watcher_.restart();
}

void JobWait::read_last() {
  if (began_ms_ != 0)
    watcher_.look();
}

/// May destroy this in each branch that answers.
void JobWait::on_job(Result<const core::Job *> job) {
  if (!job) {
    if (!known_ || is_over())
      refuse(job.error());
    return;  // the database may be restarting: a client that is held already waits for it
  }
  const core::Job *found = *job;
  auto owner = known_ ? std::nullopt : owner_of(r_);  // the owner of a job never changes
  if (found == nullptr || (owner && found->owner != *owner)) {
    refuse({Code::not_found, core::absence(core::kind_of(watcher_.read().id))});
    return;
  }
  if (!known_ && asks_conditions() && has_conditions(r_) &&
      !conditions_hold(r_, etags(*found), found->updated_at)) {
    bool batch = core::kind_of(watcher_.read().id) == core::Kind::batch;
    finish(send_problem(r_, 412,
                        std::string(batch ? "The batch" : "The job") +
                            " does not satisfy the preconditions of the request, such as If-Match."));
    return;
  }
  bool waited = std::exchange(known_, true);
  reading_.set(0);
  bool done = enough(*found);
  if (done || is_over()) {
    if (!revive())
      return;  // this was destroyed
    RequestInfo &info = request_info(r_);
    info.state = core::state_name(found->state);
    if (watcher_.read().cache != nullptr)
      info.cache = watcher_.read().from_cache ? "HIT" : "MISS";
    info.held_ms = runtime_.now_ms() - began_ms_;
    if (done && waited)
      runtime_.deliveries().sent(found->id, found->seq, DeliveryLog::Way::poll, found->updated_at,
                                 *info.held_ms);
    answer(*found, !done);
    return;
  }
  watcher_.seen(found->seq, found->seq);
  if (!parked())
    delivery_ = request_info(r_).delivery;  // parking frees the request
  rest();
}

void JobWait::restore_info(RequestInfo &info) {
  info.id = watcher_.read().id.text();
  info.delivery = delivery_;
}

void JobWait::revoke() {
  if (began_ms_ != 0)
    HeldPoll::revoke();
}

void JobWait::leave() {
  HeldPoll::leave();
  watcher_.leave();
  reading_.set(0);
}

void JobWait::refuse(const Error &error) {
  if (revive())                     // false: this was destroyed
    finish(send_error(r_, error));  // usually destroys this
}

OrAnswer<Uuid> addressed(ngx_http_request_t *r, Runtime &runtime, std::string_view text, core::Kind kind) {
  auto id = Uuid::parse(text);
  if (!id || core::kind_of(*id) != kind || !is_admitted(r, wire::Channel{*id, {}}.text()))
    return send_problem(r, 404, core::absence(kind));
  request_info(r).id = id->text();
  if (runtime.backends().past_retention(*id))
    return send_problem(r, 410,
                        kind == core::Kind::batch
                            ? "The retention period of this batch has passed; it is no longer stored."
                            : "The retention period of this job has passed; it is no longer stored.");
  return *id;
}

OrAnswer<Wait> asked_wait(ngx_http_request_t *r) {
  Wait wait = wait_of(r);
  if (wait.malformed)
    return send_problem(r, 400, "The argument \"wait\" must be a whole number of seconds.");
  return wait;
}

bool has_room(const LocationConf &location, Runtime &runtime) {
  if (runtime.held() < static_cast<std::size_t>(location.max_held))
    return true;
  runtime.counters().count(Counter::refused_held);
  return false;
}

bool has_too_many_reads(const LocationConf &location, Runtime &runtime) {
  if (runtime.counters().of(Gauge::reads) < location.max_inflight)
    return false;
  runtime.counters().count(Counter::refused_reads);
  return true;
}

Refusal check_room(ngx_http_request_t *r, Runtime &runtime, bool hold) {
  if (hold && !has_room(location_conf(r), runtime))
    return send_unavailable(r, "Too many requests are waiting on this server; retry later.");
  if (has_too_many_reads(location_conf(r), runtime))
    return send_unavailable(r, "Too many requests are waiting for the database; retry later.");
  return std::nullopt;
}

}  // namespace await::http
