#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/batch.h"
#include "http/live/job_wait.h"

namespace await::http {

/// Which jobs of a batch its document has.
struct JobsPage {
  static constexpr int kDefault = 50;
  static constexpr int kMost = 200;
  Uuid after;  ///< null: from the first
  int limit = kDefault;
};

/// A request about one batch: waits as JobWait does, because a batch has a row and events as a job has, and
/// then reads the batch with a page of its jobs.
class BatchWait : public JobWait {
 protected:
  BatchWait(ngx_http_request_t *r, Runtime &runtime, JobsPage page,
            Registration registration = Registration::now);

  /// The batch, or an answer without its document. Ends with finish(), so it usually destroys this.
  virtual void answer_batch(const core::Batch &batch, bool timed_out) = 0;
  /// Called before the batch is read, with its row. False: it does something else first, or has answered.
  virtual bool prepare(const core::Job &) { return true; }

  /// The batch document, with the page of its jobs, in the format of the location.
  std::string document(const core::Batch &batch, const wire::BatchLinks &links);
  /// The cursor of the next page; empty: this is the last.
  std::string next_cursor(const core::Batch &batch) const;

  std::vector<std::string> etags(const core::Job &) const override { return {"W/\"\""}; }
  void answer(const core::Job &job, bool timed_out) final;
  void leave() override;

 private:
  void on_batch(Result<std::optional<core::Batch>> batch);
  void on_jobs(Result<std::vector<core::Job>> jobs);

  JobsPage page_;
  bool reading_ = false;  // the batch itself
  bool timed_out_ = false;
  ScopedGauge reads_{Gauge::reads, 0};
  std::optional<core::Batch> batch_;
  std::vector<core::Job> jobs_;
  core::Reply<std::optional<core::Batch>> batch_reply_ =
      core::Reply<std::optional<core::Batch>>::to<&BatchWait::on_batch>(this);
  core::Reply<std::vector<core::Job>> jobs_reply_ =
      core::Reply<std::vector<core::Job>>::to<&BatchWait::on_jobs>(this);
};

/// A strong entity tag of a document: of its seq, and a digest.
std::string batch_etag(const core::Batch &batch, std::string_view document);

}  // namespace await::http
