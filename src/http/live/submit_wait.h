#pragma once

#include <optional>

#include "http/exchange/result_response.h"
#include "http/live/job_wait.h"

namespace await::http {

/// 202: the job is stored; its document as it is now.
Answer send_accepted(ngx_http_request_t *r, Runtime &runtime, const core::Job &job, const Wait &wait);

/// Whether a browser sends a form without a script, and would show the answer as a page.
bool is_plain_form(ngx_http_request_t *r);

/// Adds the headers of an answer that is the stream of a new job's events.
void add_stream_headers(ngx_http_request_t *r, const Uuid &id);

/// Waits for the job of a POST after it is stored: for `Prefer: wait`, and for a request that was sent before
/// (Idempotency-Key), whose job may be in any state.
class SubmitWait : public JobWait {
 public:
  enum Kind : bool { fresh, replayed };
  SubmitWait(ngx_http_request_t *r, Runtime &runtime, const Uuid &id, Wait wait, Kind kind);

  /// The job is stored: answers the request from now on, which is registered here.
  void stored();
  /// The job was not stored.
  void abandon() { leave(); }

 private:
  bool asks_conditions() const override { return false; }  // the POST is done
  bool enough(const core::Job &job) const override { return core::is_ending(job.state); }
  void answer(const core::Job &job, bool timed_out) override;
  void refuse(const Error &error) override;
  void on_end(Answer answer) { finish(answer); }
  void leave() override;

  Uuid id_;
  Wait wait_;
  Kind kind_;
  std::optional<ResultResponse> delivery_;
};

}  // namespace await::http
