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
#include "core/hint.h"
#include "core/job.h"

namespace await::core {

/// A bound member function: two words, no allocation.
template <class T>
class Callback {
 public:
  template <auto Method, class Owner>
  static Callback to(Owner *owner) {
    return Callback(owner,
                    [](void *self, T value) { (static_cast<Owner *>(self)->*Method)(std::move(value)); });
  }
  void operator()(T value) const { call_(owner_, std::move(value)); }

 private:
  Callback(void *owner, void (*call)(void *, T)) : owner_(owner), call_(call) {}
  void *owner_;
  void (*call_)(void *, T);
};

/// Awaits the outcome of one call to a port. Owned by the caller, called once, never before the call
/// has returned; destroying it cancels the wait. Its callback may destroy it.
template <class T>
class Reply : public Hook<> {
 public:
  using SubmitWait = Result<T>;
  explicit Reply(Callback<SubmitWait> callback) : callback_(callback) {}
  template <auto Method, class Owner>
  static Reply to(Owner *owner) {
    return Reply(Callback<SubmitWait>::template to<Method>(owner));
  }
  bool waiting() const { return linked(); }
  void deliver(SubmitWait outcome) {
    unlink();
    callback_(std::move(outcome));
  }

 private:
  Callback<SubmitWait> callback_;
};

/// Asks to be run at the end of this event-loop round, or later; in 0 ms: in the next round, so that others
/// come between.
class Scheduler {
 public:
  virtual void run_soon() = 0;
  virtual void run_after(std::int64_t ms) = 0;

 protected:
  ~Scheduler() = default;
};

/// How much of a result comes with a job: nothing, JSON up to a size, whatever is stored inline.
enum class ResultDetail { none = 0, json_value = 1, body = 2 };

struct JobQuery {
  Uuid id;
  ResultDetail detail;
};
struct EventQuery {
  Uuid id;
  int after;
  std::optional<SnapshotCursor> since = std::nullopt;  ///< of a user's
};
struct Submitted {
  Uuid id;  ///< another job's: that one came first with the same idempotency key
  std::int64_t created_at;
  bool clash = false;  ///< and was another request: nothing is stored
};
/// Jobs that changed, each with its newest seq, users with 0, and the snapshot to go on from.
struct Tail {
  std::string snapshot;
  bool complete;  ///< false: there was more than one read may hold
  std::vector<std::pair<Uuid, int>> changes;
};
/// Remembers jobs that have ended, so that they need not be read again. May forget at any time.
class EndedJobCache {
 public:
  virtual std::optional<Job> find(const Uuid &id, ResultDetail detail) = 0;
  /// @param detail  what it was read with
  virtual void keep(const Job &job, ResultDetail detail) = 0;

 protected:
  ~EndedJobCache() = default;
};

/// `changed`: it is not in the state that was meant any more.
enum class Cancelled { now, already, ended, changed, unknown };

/// The truth. Everything in batches: a span in, the outcomes out in the same order. Errors: unavailable,
/// timeout (either may have happened all the same), invalid, conflict, internal (it did not happen).
class Store {
 public:
  virtual ~Store() = default;
  /// Stores all or none, save those that stand for a job stored before. An id stored before counts as stored.
  /// A conflict: an idempotency key is being used by a transaction that does not end.
  virtual void submit(std::span<const NewJob *const> jobs, Reply<std::vector<Submitted>> &reply) = 0;
  /// Unknown jobs are left out of the answer.
  virtual void jobs(std::span<const JobQuery> queries, Reply<std::vector<Job>> &reply) = 0;
  /// One page a query, in order; a page of an unknown job has last_seq 0. Either all of users' or none.
  virtual void events(std::span<const EventQuery> queries, Reply<std::vector<EventPage>> &reply) = 0;
  /// All jobs changed since `snapshot`, and the users whose they are.
  virtual void tail(std::string_view snapshot, Reply<Tail> &reply) = 0;
  /// Where the given jobs stand.
  virtual void heads(std::span<const Uuid> ids, Reply<Tail> &reply) = 0;
  /// @param seq  only if the job's newest event is this one; nothing: whatever it is
  virtual void cancel(const Uuid &id, std::optional<int> seq, Reply<Cancelled> &reply) = 0;
};

/// Topics: histories without an end, which anybody may be let write to.
class Topics {
 public:
  virtual ~Topics() = default;
  /// Appends an event; its seq. Invalid: the type or the data.
  /// @param latest  those before it count no more
  virtual void publish(std::string_view topic, std::string_view type, std::string_view json, bool latest,
                       Reply<int> &reply) = 0;
};

/// A ticket that somebody shows. Times are Unix milliseconds.
struct TicketUse {
  Uuid id;
  std::string owner;
  std::int64_t issued_ms;
  std::int64_t until_ms;
};
/// An owner whose live streams were ended.
struct Revoked {
  std::string owner;
  std::int64_t at_ms;  ///< Unix milliseconds, by the database's clock
};

/// Who may no more.
class AccessStore {
 public:
  virtual ~AccessStore() = default;
  /// Uses tickets; for each, whether it was good: nobody had used it, on any node.
  virtual void use(std::span<const TicketUse> tickets, Reply<std::vector<bool>> &reply) = 0;
  /// Those of the last hour.
  virtual void revoked(Reply<std::vector<Revoked>> &reply) = 0;
};

struct Piece {
  std::int64_t pos;  ///< offset of its first byte in the whole body
  Bytes bytes;       ///< empty: past the end
};

/// Large bodies, a piece at a time.
class Payloads {
 public:
  virtual ~Payloads() = default;
  /// Stores piece `n` of an upload; committed when the reply comes.
  virtual void put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes, Reply<Done> &reply) = 0;
  /// Reads the piece of a result that holds the byte at `pos`.
  virtual void get(const Uuid &job, int attempt, std::int64_t pos, Reply<Piece> &reply) = 0;
  /// Removes an upload that will not become a job. Best effort, no reply.
  virtual void drop(const Uuid &job) = 0;
};

/// Hints: fast, lossy, unverified. Whoever listens reads the truth before it believes.
class Bus {
 public:
  /// What a bus tells. All calls come from the event loop.
  class Listener {
   public:
    virtual void hinted(const Hint &hint) = 0;
    /// From now on hints of this shard arrive; what happened before may have been missed.
    virtual void subscribed(unsigned shard) = 0;
    /// Somebody may have been revoked.
    virtual void revoked() = 0;

   protected:
    ~Listener() = default;
  };
  virtual ~Bus() = default;
  virtual void subscribe(unsigned shard) = 0;
  virtual void unsubscribe(unsigned shard) = 0;
  virtual void publish(const Uuid &job, int seq, std::string_view type) = 0;
  /// Tells idle workers of this queue that there is work; once a round is enough.
  virtual void announce(std::string_view queue) = 0;
};

}  // namespace await::core
