#pragma once

#include "http/live/batch_wait.h"

namespace await::http {

/// Answers a submitted batch: 202 with its document, at once or, for `Prefer: wait`, when it is ready or the
/// time is over.
class BatchSubmitWait : public BatchWait {
 public:
  enum Kind : bool { fresh, replayed };
  BatchSubmitWait(ngx_http_request_t *r, Runtime &runtime, const Uuid &id, Wait wait, Kind kind);

  /// The batch is stored: answers the request from now on, which is registered here.
  void stored();
  /// The batch was not stored.
  void abandon() { leave(); }

 private:
  bool asks_conditions() const override { return false; }  // the POST is done
  bool enough(const core::Job &job) const override { return core::is_ending(job.state); }
  std::optional<Answer> answer_batch(const core::Batch &batch, bool timed_out) override;
  void refuse(const Error &error) override;

  Uuid id_;
  Wait wait_;
  Kind kind_;
};

}  // namespace await::http
