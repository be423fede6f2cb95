#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/list.h"
#include "base/result.h"
#include "core/batch.h"
#include "core/hint.h"
#include "core/job.h"
#include "core/job_list.h"
#include "core/standing.h"

namespace await::core {

/// A bound member function: two words, no allocation.
template <class T>
class Callback {
 public:
  template <auto Method, class Owner>
  static Callback to(Owner *owner) {
    return Callback(owner,
                    [](void *self, T &&value) { (static_cast<Owner *>(self)->*Method)(std::move(value)); });
  }
  // NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved, which clang-tidy 19 does not see
  void operator()(T value) const { call_(owner_, std::move(value)); }

 private:
  Callback(void *owner, void (*call)(void *, T &&)) : owner_(owner), call_(call) {}
  void *owner_;
  void (*call_)(void *, T &&);
};

/// Receives the outcome of one call to a port. Owned by the caller. The callback is called once, never before
/// the call has returned, and may destroy this. Destroying it cancels the callback, not the call.
template <class T>
class Reply : public Hook<> {
 public:
  using Outcome = Result<T>;
  explicit Reply(Callback<Outcome> callback) : callback_(callback) {}
  template <auto Method, class Owner>
  static Reply to(Owner *owner) {
    return Reply(Callback<Outcome>::template to<Method>(owner));
  }
  bool waiting() const { return linked(); }
  void deliver(Outcome outcome) {
    unlink();
    callback_(std::move(outcome));
  }

 private:
  Callback<Outcome> callback_;
};

/// Schedules the run() calls of the batchers: at the end of this iteration of the event loop, or later.
/// run_after(0) means the next iteration, so that other events are handled first.
class Scheduler {
 public:
  virtual void run_soon() = 0;
  virtual void run_after(std::int64_t ms) = 0;

 protected:
  ~Scheduler() = default;
};

/// How much of the result is read with a job: nothing, JSON up to a size, or any inline body.
enum class ResultDetail { none = 0, json_value = 1, body = 2 };

struct JobQuery {
  Uuid id;
  ResultDetail detail;
};
struct EventQuery {
  Uuid id;
  int after;
  std::optional<SnapshotCursor> since = std::nullopt;  ///< of a user's channel
};
/// Which limit of waiting jobs a submission has met: of the queue, or of its owner.
enum class Full : std::uint8_t { no, queue, owner };
struct Submitted {
  Uuid id;  ///< differs from the submitted one if an earlier job has the same idempotency key
  std::int64_t created_at;
  bool clash = false;         ///< the earlier request was different; nothing is stored
  Full full = Full::no;       ///< otherwise nothing is stored
  std::int64_t retry_ms = 0;  ///< in which there may be room
};
/// What became of a job that was to be added to a batch.
struct Added {
  enum class Outcome { added, no_batch, ended, no_phase, full } outcome;
  Submitted job;  ///< if it was added, or an earlier job has its idempotency key; which limit was met
};
/// Channels that changed: jobs and topics with their newest seq, users with 0; and the snapshot for the next
/// read.
struct Tail {
  std::string snapshot;
  bool complete;  ///< false: there were too many changes for one read
  std::vector<std::pair<Uuid, int>> changes;
};
/// A cache of ended jobs. Entries may be evicted at any time.
class EndedJobCache {
 public:
  virtual std::optional<Job> find(const Uuid &id, ResultDetail detail) = 0;
  /// @param detail  with which the job was read
  virtual void keep(const Job &job, ResultDetail detail) = 0;

 protected:
  ~EndedJobCache() = default;
};

/// `now`: it was cancelled by this call; `already`: before it; `ended`: it has another final state;
/// `changed`: its newest event is another than was given; `unknown`: there is no such job.
enum class Cancelled { now, already, ended, changed, unknown };

/// A job that is run once more. `made`: as the new job `id`, by this call; `replayed`: before it; `running`:
/// it has not ended; `unknown`: there is no such job; `full`: the new job would exceed a limit.
struct Retried {
  enum class Outcome : std::uint8_t { made, replayed, running, unknown, full };
  Outcome outcome;
  Uuid id;
  Full full = Full::no;       ///< which limit
  std::int64_t retry_ms = 0;  ///< in which there may be room
};

/// Whether a call of a port that ended with this error may have succeeded.
inline bool may_have_succeeded(const Error &error) {
  return error.code == Code::unavailable || error.code == Code::timeout;
}

/// The database of jobs. Calls take batches and return the outcomes in the same order. Errors: after
/// unavailable and timeout the call may have succeeded; after invalid, conflict and internal it has not.
class Store {
 public:
  virtual ~Store() = default;
  /// Stores all jobs or none. A job whose id is stored already, or whose idempotency key belongs to an
  /// earlier job, is not stored again and counts as stored. conflict: a transaction that does not end holds
  /// an idempotency key, or is creating the queue.
  virtual void submit(std::span<const NewJob *const> jobs, Reply<std::vector<Submitted>> &reply) = 0;
  /// Unknown jobs are left out of the result.
  virtual void jobs(std::span<const JobQuery> queries, Reply<std::vector<Job>> &reply) = 0;
  /// One page for each query, in order. The page of an unknown channel has last_seq 0. The queries of one
  /// call are either all for users' channels, or none is.
  virtual void events(std::span<const EventQuery> queries, Reply<std::vector<EventPage>> &reply) = 0;
  /// One page of a list of jobs for each query, in order.
  virtual void lists(std::span<const ListQuery> queries, Reply<std::vector<JobPage>> &reply) = 0;
  /// The same for lists of batches.
  virtual void lists(std::span<const ListQuery> queries, Reply<std::vector<BatchPage>> &reply) = 0;
  /// The channels that changed since `snapshot`.
  virtual void tail(std::string_view snapshot, Reply<Tail> &reply) = 0;
  /// The newest seq of the given jobs and topics; those with only event 1 are left out.
  virtual void heads(std::span<const Uuid> ids, Reply<Tail> &reply) = 0;
  /// @param seq  cancels only if the newest event of the job is this one; empty: in any case
  virtual void cancel(const Uuid &id, std::optional<int> seq, Reply<Cancelled> &reply) = 0;
  /// Runs an ended job once more.
  virtual void retry(const Uuid &id, const PendingLimits &limits, Reply<Retried> &reply) = 0;
  /// Where a job stands. Dearer than a read of the job.
  virtual void standing(const Uuid &id, Reply<Standing> &reply) = 0;
};

/// Publishes to topics.
class Topics {
 public:
  virtual ~Topics() = default;
  /// Appends an event and returns its seq. invalid: the type or the data.
  /// @param latest  earlier events of the topic do not count any more
  virtual void publish(std::string_view topic, std::string_view type, std::string_view json, bool latest,
                       Reply<int> &reply) = 0;
};

/// A ticket to be redeemed. Times are Unix milliseconds.
struct TicketUse {
  Uuid id;
  std::string owner;
  std::int64_t issued_ms;
  std::int64_t until_ms;
};
/// An owner whose access was revoked.
struct Revoked {
  std::string owner;
  std::int64_t at_ms;  ///< Unix milliseconds, by the database's clock
};

/// Ticket redemption and owner revocation.
class AccessStore {
 public:
  virtual ~AccessStore() = default;
  /// Redeems tickets. For each: whether it is valid and was not redeemed before, on any node.
  virtual void use(std::span<const TicketUse> tickets, Reply<std::vector<bool>> &reply) = 0;
  /// The revocations of the last hour.
  virtual void revocations(Reply<std::vector<Revoked>> &reply) = 0;
};

struct Chunk {
  std::int64_t pos;  ///< offset of its first byte in the whole body
  Bytes bytes;       ///< empty: after the end
};

/// Large bodies, one chunk at a time.
class Payloads {
 public:
  virtual ~Payloads() = default;
  /// Stores chunk `n` of an upload. It is committed when the reply is delivered.
  virtual void put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes, Reply<Done> &reply) = 0;
  /// Reads the chunk of a result that contains the byte at `pos`.
  virtual void get(const Uuid &job, int attempt, std::int64_t pos, Reply<Chunk> &reply) = 0;
  /// Removes an upload that does not become a job. Best effort, no reply.
  virtual void drop(const Uuid &job) = 0;
};

/// Batches: jobs that are submitted together, and counted together.
class Batches {
 public:
  virtual ~Batches() = default;
  /// Stores jobs of a batch that is being received; nobody sees them before submit(). A payload that is
  /// absent was stored in chunks.
  /// @param first  the place of the first, from 1
  virtual void stage(const Uuid &batch, int first, std::span<const NewJob> jobs, Reply<Done> &reply) = 0;
  /// Creates the batch and all jobs that were staged for it, or nothing. Errors as of Store::submit().
  virtual void submit(const NewBatch &batch, Reply<Submitted> &reply) = 0;
  /// Forgets what was staged of a batch that is not submitted. Best effort, no reply.
  virtual void unstage(const Uuid &batch) = 0;
  /// Creates a job in a batch, which must be the same owner's, and open.
  virtual void add(const Uuid &batch, const NewJob &job, Reply<Added> &reply) = 0;
  /// Empty: there is no such batch.
  virtual void batch(const Uuid &id, Reply<std::optional<Batch>> &reply) = 0;
  /// Jobs of a batch in the order of their ids, at most `limit`, those after the id `after`.
  virtual void jobs_of(const Uuid &batch, const Uuid &after, int limit, Reply<std::vector<Job>> &reply) = 0;
};

/// Transports hints. They may be lost, late, duplicated or forged.
class Bus {
 public:
  /// Called from the event loop, never from within a call to the bus.
  class Listener {
   public:
    virtual void on_hint(const Hint &hint) = 0;
    /// The subscription is active; earlier hints of this shard may have been missed.
    virtual void on_subscription(unsigned shard) = 0;
    /// An owner may have been revoked.
    virtual void on_revocation() = 0;

   protected:
    ~Listener() = default;
  };
  virtual ~Bus() = default;
  virtual void subscribe(unsigned shard) = 0;
  virtual void unsubscribe(unsigned shard) = 0;
  virtual void publish(const Uuid &job, int seq, std::string_view type) = 0;
  /// Notifies idle workers that the queue has a new job. One call for each batch is enough.
  virtual void announce(std::string_view queue) = 0;
};

}  // namespace await::core
