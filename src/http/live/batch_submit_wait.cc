#include "http/live/batch_submit_wait.h"

#include <string>

#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/live/submit_wait.h"
#include "http/runtime/runtime.h"

namespace await::http {

using ngx::Answer;

BatchSubmitWait::BatchSubmitWait(ngx_http_request_t *r, Runtime &runtime, const Uuid &id, Wait wait,
                                 Kind kind)
    : BatchWait(r, runtime, {}, Registration::later), id_(id), wait_(wait), kind_(kind) {
  read_newest();
  if (wait_.ms > 0)
    register_first(id);
}

void BatchSubmitWait::stored() {
  register_held();
  read_second(id_, wait_.ms);
}

std::optional<Answer> BatchSubmitWait::answer_batch(const core::Batch &batch, bool timed_out) {
  if (kind_ == replayed)
    add_header(r_, "Idempotency-Replayed", "true");
  wire::BatchLinks links = batch_links_of_new(r_, id_);
  add_wait_headers(r_, wait_, "Prefer");
  add_header(r_, "Link", "<" + links.self + ">; rel=\"status\"");
  if (std::string next = next_cursor(batch); !next.empty())
    add_header(r_, "Link", "<" + links.self + "?cursor=" + next + ">; rel=\"next\"");
  bool ready = !timed_out && wait_.ms > 0;
  if (!ready && is_plain_form(r_)) {
    add_header(r_, "Location", links.self);
    add_header(r_, "Cache-Control", "no-store");
    return send_empty(r_, 303);  // to the document, which can be reloaded
  }
  if (ready) {
    add_header(r_, "Content-Location", links.self);
    add_header(r_, "Cache-Control", "private, no-cache");
  } else {
    add_header(r_, "Location", links.self);
    add_header(r_, "Operation-Location", links.self);
    add_header(r_, "Cache-Control", "no-store");
    add_retry_after(r_);
  }
  return send(r_, ready ? 200 : 202, "application/json", document(batch, links));
}

void BatchSubmitWait::refuse(const Error &error) {
  if (!revive())
    return;
  // the batch exists even if it cannot be read now
  add_header(r_, "Link", "<" + batch_links_of_new(r_, id_).self + ">; rel=\"status\"");
  finish(send_error(r_, error));
}

}  // namespace await::http
