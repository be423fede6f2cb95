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

/// Watches one job. Destroying it ends the watch at once.
class Listener : public Hook<> {
 public:
  virtual ~Listener();
  /// The job may have an event `seq` (0: unknown, look). Unverified; must not destroy other listeners
  /// of this job before it returns, nor itself: it starts a read and answers later.
  virtual void on_hint(int seq) noexcept = 0;
  /// The job has these events: verified. May destroy this and any other listener.
  /// @return  what it has cost, of the kBudget that a round can bear
  virtual unsigned on_update(const VerifiedUpdate &update) noexcept {
    on_hint(update.last());
    return 1;
  }
  /// A failover: what was seen of the job may never have been. The same rules.
  virtual void on_history_changed() noexcept = 0;
  bool listening() const { return watchers_ != nullptr; }
  /// It will be called in a moment.
  void prefetch() const {
    for (std::ptrdiff_t at = -128; at <= 192; at += 64)
      __builtin_prefetch(reinterpret_cast<const char *>(this) + at);
  }

 private:
  friend class Hub;
  struct Watchers;
  Watchers *watchers_ = nullptr;  // a node of the hub's map, which stays where it is
};

/// All who watch one job.
struct IsPending {};
struct Listener::Watchers : Hook<>, Hook<IsPending> {
  Watchers(Hub &hub, const Uuid &job) : hub(hub), job(job) {}
  Hub &hub;
  Uuid job;
  List<Listener> listeners;
  List<Listener> turn;                      // those of them who are still to hear what is being told
  std::unique_ptr<VerifiedUpdate> pending;  // this round's
  std::unique_ptr<VerifiedUpdate> delivering;
};

/// Who watches which job on this nginx worker, and which of the bus's shards that needs.
/// Kept alive by: the process object, which outlives every request.
class Hub {
  friend class Listener;

 public:
  static constexpr unsigned kShards = 4096;
  static constexpr unsigned kBudget = 512;  ///< a round; the others' requests come between
  static constexpr std::size_t kMostPending =
      256;  ///< events of a job that wait to be told; past them it is read

  Hub(Bus &bus, Scheduler &scheduler) : bus_(bus), scheduler_(scheduler) {}
  ~Hub();

  /// Registers. The caller reads the truth *after* this: register first, read second.
  void listen(const Uuid &job, core::Listener &listener);
  void leave(core::Listener &listener);

  bool watches(const Uuid &job) const { return watched_.contains(job); }
  /// Somebody says so.
  void notify(const Uuid &job, int seq);
  /// Somebody has proved it. The listeners hear of it in run(), together with what else this round brings.
  void publish(VerifiedUpdate update);
  /// Tells what there is to tell, as much as a round can bear. Called when Wake says so.
  void run();
  /// From now on hints of this shard arrive; what happened before may have been missed.
  void subscribed(unsigned shard);

  /// The database is of another timeline now: everybody looks again, from the beginning.
  void history_changed();

  /// Lets go of shards that nobody has watched since the last sweep.
  void sweep();

  std::size_t jobs() const { return watched_.size(); }
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
