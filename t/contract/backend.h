#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/ports.h"

namespace await::contract {

/// A database transaction of a worker or of another client. Destroying it rolls it back.
class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual void claim(const core::NewJob &job) = 0;  ///< event `processing`
  virtual void emit(const core::NewJob &job) = 0;   ///< an event of a claimed job
  virtual void complete(const core::NewJob &job) = 0;
  virtual void revoke(const std::string &owner) = 0;
  virtual void commit() = 0;
};

/// A store under test, with the actions of workers.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual core::Store &store() = 0;
  virtual core::AccessStore &access() = 0;
  virtual core::Batches &batches() = 0;
  virtual std::unique_ptr<Transaction> begin() = 0;
  /// Runs the event loop. False: it is still not done after 10 s.
  virtual bool run_until(const std::function<bool()> &done) = 0;
  virtual std::int64_t now_ms() = 0;
  /// A job with an id, an owner and a queue that no other job has.
  virtual core::NewJob new_job() = 0;
  /// Another job of the same owner, in the same queue.
  virtual core::NewJob new_job_like(const core::NewJob &other) = 0;
  /// Whether the job can be one of this owner's: a job's id may tell.
  virtual bool can_own(const std::string &owner, const core::NewJob &job) = 0;
  /// Makes the store reject the batch of which the job is a part.
  virtual void make_invalid(core::NewJob &job) = 0;
  /// A read of the channel of the owner of a job.
  virtual core::EventQuery user_query(const core::NewJob &job, core::SnapshotCursor since) = 0;
  /// The maximum number of events in a page, of a job and of a user's channel.
  virtual std::size_t page_size() = 0;
  virtual std::size_t user_page_size() = 0;
};

std::unique_ptr<Backend> make_postgresql();
std::unique_ptr<Backend> make_simulated();

}  // namespace await::contract
