#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/batch_reads.h"
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
/// then reads the batch with a page of its jobs, or finds it in the location's await_cache.
class BatchWait : public JobWait {
 protected:
  BatchWait(ngx_http_request_t *r, Runtime &runtime, JobsPage page,
            Registration registration = Registration::now);

  /// Answers at once if the cache has what is enough; otherwise as watch().
  Answer look(const Uuid &id, std::int64_t wait_ms);
  /// The batch must be read, whatever the cache has.
  void read_newest() { document_.from_cache = false; }
  bool is_from_cache() const { return document_.from_cache; }
  /// Call with an answer to a request that is answered from the cache if possible.
  void note_cache_status();

  /// The answer, which the caller returns or finishes with. Empty: the client knows something newer than
  /// this, which is from the cache.
  virtual std::optional<Answer> answer_batch(const core::Batch &batch, bool timed_out) = 0;
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
  bool may_answer(const core::Batch &batch, std::int64_t wait_ms) const;
  void on_document(Result<const core::BatchDocument *> document);
  std::optional<Answer> answer_with(const core::BatchDocument &document);

  JobsPage page_;
  bool reading_ = false;  // the batch itself
  bool timed_out_ = false;
  ScopedGauge reads_{Gauge::reads, 0};
  std::span<const core::Job> jobs_;  // while it is answered
  core::BatchRead document_{
      core::Callback<Result<const core::BatchDocument *>>::to<&BatchWait::on_document>(this)};
};

/// A strong entity tag of a document: of its seq, and a digest.
std::string batch_etag(const core::Batch &batch, std::string_view document);

}  // namespace await::http
