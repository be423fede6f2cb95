#include "http/watch.h"

#include <algorithm>

#include "http/facts.h"
#include "http/respond.h"

namespace await::http {

void Watch::register_first(const Uuid &id) {
  process()->hub().listen(id, *this);
  process()->enrol(*this);
}

void Watch::read_second(const Uuid &id, std::int64_t wait_ms) {
  need_.id = id;
  follow_ = core::Follow();
  began_ms_ = process()->now_ms();
  deadline_ms_ = began_ms_ + wait_ms;
  over_ = wait_ms == 0 || process()->draining();
  if (!over_)
    set_next_timer();
  apply(follow_.look());
}

void Watch::changed(int seq) noexcept {
  if (began_ms_ != 0)  // before that, the job is being stored and will be read afterwards
    apply(seq == 0 ? follow_.look() : follow_.told(seq));
}

void Watch::apply(core::Follow::Action action) {
  switch (action.what) {
    case core::Follow::Action::nothing:
      return;
    case core::Follow::Action::read:
      process()->jobs().add(need_);
      return;
    case core::Follow::Action::retry:
      retry_ms_ = process()->now_ms() + action.delay_ms;
      set_next_timer();
  }
}

void Watch::set_next_timer() {
  std::int64_t next = retry_ms_ != 0 ? std::min(retry_ms_, deadline_ms_) : deadline_ms_;
  set_timer(std::max<std::int64_t>(1, next - process()->now_ms()));
}

void Watch::on_time() {
  std::int64_t now = process()->now_ms();
  retry_ms_ = 0;
  if (now >= deadline_ms_)
    over_ = true;
  else
    set_next_timer();
  apply(follow_.look());  // if a read is under way, that one will be the answer
}

void Watch::drain() {
  over_ = true;
  if (began_ms_ != 0)
    apply(follow_.look());
}

void Watch::got(Result<const core::Job *> job) {
  if (!job) {
    follow_.failed();
    if (!known_ || over_)
      refuse(job.error());
    return;  // a held client sits out what may be a restart; the re-read comes back to it
  }
  const core::Job *found = *job;
  auto owner = owner_of(r_);
  if (found == nullptr || (owner && found->owner != *owner)) {
    refuse({Code::not_found, "no such job"});
    return;
  }
  known_ = true;
  facts(r_).state = core::state_name(found->state);
  bool done = enough(*found);
  if (done || over_) {
    facts(r_).held_ms = process()->now_ms() - began_ms_;
    answer(*found, !done);
    return;
  }
  apply(follow_.got(found->seq, found->seq));
}

void Watch::leave() {
  if (listening())
    process()->hub().leave(*this);
  need_.unlink();
}

void Watch::refuse(const Error &error) { finish(send_error(r_, error)); }

std::optional<Uuid> addressed(ngx_http_request_t *r, std::string_view text, ngx_int_t *rc) {
  auto id = Uuid::parse(text);
  if (!id) {
    *rc = send_problem(r, 404, "There is no such job.");
    return std::nullopt;
  }
  facts(r).id = id->text();
  if (process()->past_retention(*id)) {
    *rc = send_problem(r, 410, "Jobs of that time are no longer kept.");
    return std::nullopt;
  }
  return id;
}

std::optional<Wait> asked_wait(ngx_http_request_t *r, ngx_int_t *rc) {
  Wait wait = wait_of(r);
  if (!wait.malformed)
    return wait;
  *rc = send_problem(r, 400, "The argument \"wait\" is a whole number of seconds.");
  return std::nullopt;
}

bool has_room(ngx_http_request_t *r) {
  return process()->hub().listeners() < static_cast<std::size_t>(settings(r).max_held);
}

ngx_int_t check_room(ngx_http_request_t *r) {
  return has_room(r) ? NGX_OK : send_unavailable(r, "Too many requests are held here just now.");
}

}  // namespace await::http
