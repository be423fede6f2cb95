#include "http/live/submit_wait.h"

#include "http/conf/conf.h"
#include "http/exchange/job_document.h"
#include "http/exchange/recording.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/runtime/runtime.h"
#include "wire/accept.h"
#include "wire/headers.h"

namespace await::http {
namespace {

void add_status_link(ngx_http_request_t *r, const wire::Links &links) {
  add_header(r, "Link", "<" + links.self + ">; rel=\"status\"");
}

}  // namespace

bool is_plain_form(ngx_http_request_t *r) {
  constexpr std::string_view kOffers[] = {"application/json", "text/html"};
  std::string type = wire::essence(header(r, "content-type"));
  bool form =
      type == "multipart/form-data" || type == "application/x-www-form-urlencoded" || type == "text/plain";
  return form && wire::choose(own_header(r, "accept"), kOffers) == 1;
}

void add_stream_headers(ngx_http_request_t *r, const Uuid &id) {
  wire::Links links = links_of_new(r, id);
  add_status_link(r, links);
  add_header(r, "Location", links.self);
  add_header(r, "Content-Location", links.events);
}

Answer send_accepted(ngx_http_request_t *r, Runtime &runtime, const core::Job &job, const Wait &wait) {
  wire::Links links = links_of_new(r, job.id);
  add_wait_headers(r, wait, "Prefer");
  add_status_link(r, links);
  add_header(r, "Location", links.self);
  add_header(r, "Cache-Control", "no-store");
  if (is_plain_form(r))
    return send_empty(r, 303);  // to the page of the job, which can be reloaded
  add_header(r, "Operation-Location", links.self);
  add_retry_after(r);
  return send(r, 202, "application/json",
              job_document(r, runtime.backends().timeline(), job, links, location_conf(r).submitted));
}

SubmitWait::SubmitWait(ngx_http_request_t *r, Runtime &runtime, const Uuid &id, Wait wait, Kind kind)
    : JobWait(r, runtime, core::ResultDetail::body, Registration::later), id_(id), wait_(wait), kind_(kind) {
  if (wait_.ms > 0)
    register_first(id);
}

void SubmitWait::stored() {
  register_held();
  read_second(id_, wait_.ms);
}

void SubmitWait::leave() {
  if (delivery_)
    delivery_->leave();
  JobWait::leave();
}

void SubmitWait::answer(const core::Job &job, bool timed_out) {
  if (kind_ == replayed)
    add_header(r_, "Idempotency-Replayed", "true");
  if (timed_out || wait_.ms == 0) {
    finish(send_accepted(r_, runtime_, job, wait_));
    return;
  }
  wire::Links links = links_of_new(r_, id_);
  add_wait_headers(r_, wait_, "Prefer");
  add_status_link(r_, links);
  add_header(r_, "Content-Location", links.result);
  delivery_.emplace(r_, core::Callback<Answer>::to<&SubmitWait::on_end>(this));
  ngx_uint_t failed = location_conf(r_).proxy != nullptr ? failed_status(job.error) : 424;
  delivery_->answer(job, {failed, 202}, runtime_.backends().payloads());
}

void SubmitWait::refuse(const Error &error) {
  if (!revive())
    return;
  // the job exists even if waiting for it has failed
  add_status_link(r_, links_of_new(r_, id_));
  finish(send_error(r_, error));
}

}  // namespace await::http
