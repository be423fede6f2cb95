#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/list.h"
#include "core/ports.h"
#include "core/verified_update.h"

namespace await::core {

class Hub;

/// Gets notifications about one job. Destroying it stops them; it may outlive the hub.
class Listener : public Hook<> {
 public:
  virtual ~Listener();
  /// The job may have an event `seq` (0: unknown). Not verified. Must not destroy this or another listener of
  /// the job: it starts a read, and uses the result later.
  virtual void on_hint(int seq) noexcept = 0;
  /// The job has these events: verified. May destroy this and any other listener.
  /// @return  the cost of the call; an iteration has a budget of Hub::kBudget
  virtual unsigned on_update(const VerifiedUpdate &update) noexcept {
    on_hint(update.last());
    return 1;
  }
  /// After a failover: events that were seen may not exist any more. Must not destroy listeners either.
  virtual void on_history_changed() noexcept = 0;
  bool listening() const { return watchers_ != nullptr; }
  /// Whether a client is behind it, and not a cache.
  virtual bool is_client() const noexcept { return true; }
  /// Loads this into the CPU cache, because it will be called soon.
  void prefetch() const {
    for (std::ptrdiff_t at = -128; at <= 192; at += 64)
      __builtin_prefetch(reinterpret_cast<const char *>(this) + at);
  }

 private:
  friend class Hub;
  struct Watchers;
  Watchers *watchers_ = nullptr;  // a node of the hub's map, whose address does not change
};

struct IsPending {};
/// The listeners of one job, and the updates that they have not received yet.
struct Listener::Watchers : Hook<>, Hook<IsPending> {
  Watchers(Hub &hub, const Uuid &job) : hub(hub), job(job) {}
  Hub &hub;
  Uuid job;
  List<Listener> listeners;
  List<Listener> turn;                      // those that have not received `delivering` yet
  std::unique_ptr<VerifiedUpdate> pending;  // of this iteration
  std::unique_ptr<VerifiedUpdate> delivering;
};

/// The listeners of this nginx worker by job, and the shards of the bus that are subscribed for them.
/// Delivers hints at once, and verified updates in run(). Must outlive every request.
class Hub {
  friend class Listener;

 public:
  static constexpr unsigned kShards = 4096;
  /// The cost that one iteration of the event loop may have, so that other requests are not delayed.
  static constexpr unsigned kBudget = 512;
  /// Events of a job that may be pending; beyond that its listeners get a hint and read.
  static constexpr std::size_t kMostPending = 256;

  Hub(Bus &bus, Scheduler &scheduler) : bus_(bus), scheduler_(scheduler) {}
  ~Hub();

  /// Adds a listener. The caller reads the job *after* this: register first, read second.
  void listen(const Uuid &job, core::Listener &listener);
  void leave(core::Listener &listener);

  bool watches(const Uuid &job) const { return watched_.contains(job); }
  /// A hint has come: the job may have an event `seq` (0: unknown).
  void notify(const Uuid &job, int seq);
  /// A signed hint has come. It is delivered in run(), together with others of this iteration.
  void publish(VerifiedUpdate update);
  /// Delivers updates within kBudget. Called when the Scheduler runs. May destroy listeners.
  void run();
  /// The subscription of a shard is active; earlier hints may have been missed, so its listeners read.
  void on_subscription(unsigned shard);

  /// The database is on another timeline: pending updates are discarded, and all listeners start again.
  void on_history_changed();

  /// Unsubscribes shards that have had no listener since the last sweep.
  void sweep();

  std::size_t jobs() const { return watched_.size(); }
  /// How many clients watch this job. As many steps as there are.
  std::size_t clients(const Uuid &job);
  std::size_t listeners() const { return listeners_; }
  std::vector<Uuid> watched() const;

 private:
  using Watchers = core::Listener::Watchers;
  struct Shard {
    List<Watchers> watched;
    bool subscribed = false;
    bool idle = false;  // was empty at the last sweep
  };

  void drop(Watchers &watchers);
  unsigned deliver(Watchers &watchers, unsigned budget);
  template <class Visit>
  static void each(Watchers &watchers, Visit visit) {
    watchers.listeners.each(visit);
    watchers.turn.each(visit);
  }

  Bus &bus_;
  Scheduler &scheduler_;
  List<Watchers, IsPending> pending_;
  std::unordered_map<Uuid, Watchers> watched_;
  std::array<Shard, kShards> shards_{};
  std::size_t listeners_ = 0;
};

}  // namespace await::core
