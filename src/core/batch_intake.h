#pragma once

#include <vector>

#include "core/ports.h"

namespace await::core {

/// Makes the ids of jobs.
class IdSource {
 public:
  /// A new id.
  /// @param retention  its class
  /// @param least_ms  its time is not earlier than this, in Unix milliseconds
  virtual Uuid new_id(unsigned retention, std::int64_t least_ms) = 0;

 protected:
  ~IdSource() = default;
};

/// Stages the jobs of a batch that is being received, in portions of 128 KB, with one portion in flight, and
/// submits them all at once. If this is destroyed, what was staged is removed, unless the batch has the jobs
/// or may have them.
///
/// The ids of the jobs are in their order, so that a list of them is. The ids of a portion get their random
/// bits first, and are sorted then: no bit of them is a counter's.
class BatchIntake {
 public:
  static constexpr std::size_t kPortion = 128 * 1024;

  /// @param on_progress  called when a portion was stored, and after an error; may destroy this. Do not use
  ///                     the intake after an error.
  /// @param on_submitted  called with the outcome of submit(); may destroy this
  BatchIntake(Batches &batches, Payloads &payloads, IdSource &ids, const Uuid &id,
              Callback<Result<Done>> on_progress, Callback<Result<Submitted>> on_submitted)
      : batches_(batches),
        payloads_(payloads),
        ids_(ids),
        id_(id),
        on_progress_(on_progress),
        on_submitted_(on_submitted) {}
  BatchIntake(const BatchIntake &) = delete;
  BatchIntake &operator=(const BatchIntake &) = delete;
  ~BatchIntake();

  const Uuid &id() const { return id_; }
  /// An id for the next job, if that is needed before add().
  Uuid next_id();
  /// Adds the next job, which gets an id if it has none. If its payload is absent, it is in chunks, which
  /// belong to the intake from now on.
  void add(NewJob job);
  /// Whether the caller should wait for `on_progress` before the next add().
  // mutant: intake-is-full
  bool full() const { return bytes_ >= kPortion && reply_.waiting(); }
  /// The memory in use in bytes.
  std::size_t held() const { return bytes_ + sending_ + chunked_.capacity() * sizeof(Uuid); }
  /// All jobs were added. True: they are stored; otherwise `on_progress` will be called.
  bool finish();
  // mutant: intake-is-finished
  bool finished() const { return finishing_ && portion_.empty() && !reply_.waiting(); }
  int jobs() const { return jobs_; }
  /// Submits the batch, which has the id of this, when all its jobs are stored.
  void submit(const NewBatch &batch);
  /// Cancels the callbacks.
  void cancel() { reply_.unlink(), submitted_.unlink(); }

 private:
  std::int64_t behind_last() const;
  void give_ids();
  void stage();
  void on_staged(Result<Done> outcome);
  void on_outcome(Result<Submitted> outcome);

  Batches &batches_;
  Payloads &payloads_;
  IdSource &ids_;
  Uuid id_;
  Uuid last_;  // id of a job
  Callback<Result<Done>> on_progress_;
  Callback<Result<Submitted>> on_submitted_;
  Reply<Done> reply_ = Reply<Done>::to<&BatchIntake::on_staged>(this);
  Reply<Submitted> submitted_ = Reply<Submitted>::to<&BatchIntake::on_outcome>(this);
  std::vector<NewJob> portion_;
  std::size_t bytes_ = 0;    // of the portion
  std::size_t sending_ = 0;  // bytes of the portion in flight
  std::vector<Uuid> chunked_;
  int jobs_ = 0;
  int staged_ = 0;
  bool finishing_ = false;
  bool kept_ = false;  // the batch has the jobs, or may have them
};

}  // namespace await::core
