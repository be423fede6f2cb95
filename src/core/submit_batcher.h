#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/ports.h"

namespace await::core {

/// One submission on its way. Destroying it cancels the wait, not what is stored already.
class Submission : public Hook<> {
 public:
  explicit Submission(Callback<Result<Submitted>> callback) : callback_(callback) {}
  NewJob job;

 private:
  friend class SubmitBatcher;
  Callback<Result<Submitted>> callback_;
  std::size_t slot_ = 0;       // its place in the batch under way
  std::size_t batch_max_ = 0;  // the largest batch it may join; halved when one it was in was refused
  bool apart_ = false;         // joins those of its queue only: a batch of several met a conflict
  std::int64_t give_up_ = 0;
};

/// Group commit: all submissions of an event-loop round join one batch, and while the batches in
/// flight are not committed the next one grows. A refused batch is halved until the bad row stands
/// alone, or parted by queue where it met a conflict; a batch whose connection was lost is sent again under
/// the same ids.
class SubmitBatcher {
 public:
  struct Limits {
    std::size_t rows = 512;                    ///< a batch
    std::size_t bytes = std::size_t{4} << 20;  ///< payloads of a batch, roughly
    std::size_t flights = 2;                   ///< batches not yet committed
    std::int64_t patience_ms = 3000;           ///< how long a submission waits for PostgreSQL to come back
  };

  SubmitBatcher(Store &store, Bus &bus, Scheduler &scheduler, Limits limits);
  ~SubmitBatcher();

  /// Takes `submission` (its job filled in). Calls back exactly once: stored, or the error.
  void add(Submission &submission, std::int64_t now_ms);
  /// Sends what can be sent. Called when Wake says so.
  void run(std::int64_t now_ms);
  bool idle() const { return waiting_.empty() && in_flight_ == 0; }

 private:
  struct Flight;
  void send(Flight &flight);
  void on_result(Flight &flight, Result<std::vector<Submitted>> outcome);
  void refused(Flight &flight, const Error &error);
  static bool may_join(const Submission &next, const NewJob &first, bool apart);
  static bool part_by_queue(List<Submission> &members);
  void expire(std::int64_t now_ms);

  Store &store_;
  Bus &bus_;
  Scheduler &scheduler_;
  Limits limits_;
  List<Submission> waiting_;
  std::size_t in_flight_ = 0;
  bool away_ = false;  // the last answer was "unavailable": send again on the next run only
  std::vector<std::unique_ptr<Flight>> flights_;
};

}  // namespace await::core
