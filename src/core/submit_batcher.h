#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/ports.h"

namespace await::core {

/// One submission. The callback is called once and may destroy it. Destroying it cancels the callback, not a
/// statement that was sent.
class Submission : public Hook<> {
 public:
  explicit Submission(Callback<Result<Submitted>> callback) : callback_(callback) {}
  NewJob job;

  /// Whether the store has the job, or may have it, or may still get it with a statement that was sent.
  bool may_be_stored() const { return sent_ || unsure_; }

 private:
  friend class SubmitBatcher;
  Callback<Result<Submitted>> callback_;
  std::size_t slot_ = 0;       // its index in the batch in flight
  std::size_t batch_max_ = 0;  // the largest batch it may join; halved when its batch is rejected
  bool sent_ = false;          // and not refused since
  bool unsure_ = false;        // it was sent before, and what became of it is not known
  bool apart_ = false;         // joins only submissions of its queue, after a conflict in a batch of several
  std::int64_t give_up_ = 0;
};

/// Group commit: combines the submissions of one iteration of the event loop into one batch. While the
/// maximum number of batches is in flight, the next one grows. A rejected batch is halved until the invalid
/// row is alone, or split by queue after a conflict. A batch whose connection was lost is sent again with the
/// same ids.
class SubmitBatcher {
 public:
  struct Limits {
    std::size_t rows = 512;                    ///< of a batch
    std::size_t bytes = std::size_t{4} << 20;  ///< of the payloads of a batch, approximately
    std::size_t flights = 2;                   ///< batches in flight
    std::int64_t patience_ms = 3000;           ///< how long a submission waits for PostgreSQL to come back
  };

  SubmitBatcher(Store &store, Bus &bus, Scheduler &scheduler, Limits limits);
  ~SubmitBatcher();

  /// Adds a submission whose job is set. Calls back later, once.
  void add(Submission &submission, std::int64_t now_ms);
  /// Called when the Scheduler runs. Sends batches. May destroy submissions.
  void run(std::int64_t now_ms);
  bool idle() const { return waiting_.empty() && in_flight_ == 0; }

 private:
  struct Flight;
  void send(Flight &flight);
  void on_result(Flight &flight, Result<std::vector<Submitted>> outcome);
  void on_refusal(Flight &flight, const Error &error);
  static bool may_join(const Submission &next, const NewJob &first, bool apart);
  static bool part_by_queue(List<Submission> &members);
  void expire(std::int64_t now_ms);

  Store &store_;
  Bus &bus_;
  Scheduler &scheduler_;
  Limits limits_;
  List<Submission> waiting_;
  std::size_t in_flight_ = 0;
  bool away_ = false;  // a batch failed with "unavailable": retry in the next run
  std::vector<std::unique_ptr<Flight>> flights_;
};

}  // namespace await::core
