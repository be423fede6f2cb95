#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/list.h"
#include "core/ports.h"
#include "core/told.h"

namespace await::core {

class Hub;

/// Watches one job. Destroying it ends the watch at once.
class Listener : public Hook<> {
 public:
  virtual ~Listener();
  /// The job may have an event `seq` (0: unknown, look). Unverified; must not destroy other listeners
  /// of this job before it returns, nor itself: it starts a read and answers later.
  virtual void changed(int seq) noexcept = 0;
  /// The job has this event; verified. May destroy this and any other listener.
  /// @param crowd  how many listen to the job: each gets the call in this round
  virtual void told(const Told &told, std::size_t crowd) noexcept {
    (void)crowd;
    changed(told.page.last_seq);
  }
  /// A failover: what was seen of the job may never have been. The same rules.
  virtual void history_changed() noexcept = 0;
  bool listening() const { return channel_ != nullptr; }

 private:
  friend class Hub;
  struct Channel;
  Channel *channel_ = nullptr;  // a node of the hub's map, which stays where it is
};

/// All who watch one job.
struct Listener::Channel : Hook<> {
  Channel(Hub &hub, const Uuid &job) : hub(hub), job(job) {}
  Hub &hub;
  Uuid job;
  List<Listener> listeners;
  bool telling = false;  // and so stays, though all of its listeners may leave
};

/// Who watches which job on this nginx worker, and which of the bus's shards that needs.
/// Kept alive by: the process object, which outlives every request.
class Hub {
  friend class Listener;

 public:
  static constexpr unsigned kShards = 4096;

  explicit Hub(Bus &bus) : bus_(bus) {}
  ~Hub();

  /// Registers. The caller reads the truth *after* this: register first, read second.
  void listen(const Uuid &job, core::Listener &listener);
  void leave(core::Listener &listener);

  bool watches(const Uuid &job) const { return channels_.contains(job); }
  /// Somebody says so.
  void hinted(const Uuid &job, int seq);
  /// Somebody has proved it.
  void told(const Told &told);
  /// From now on hints of this shard arrive; what happened before may have been missed.
  void subscribed(unsigned shard);

  /// The database is of another timeline now: everybody looks again, from the beginning.
  void history_changed();

  /// Lets go of shards that nobody has watched since the last sweep.
  void sweep();

  std::size_t jobs() const { return channels_.size(); }
  std::size_t listeners() const { return listeners_; }
  std::vector<Uuid> watched() const;

 private:
  using Channel = core::Listener::Channel;
  struct Shard {
    List<Channel> channels;
    bool subscribed = false;
    bool idle = false;  // was empty at the last sweep
  };

  void drop(Channel &channel);

  Bus &bus_;
  std::unordered_map<Uuid, Channel> channels_;
  std::array<Shard, kShards> shards_{};
  std::size_t listeners_ = 0;
};

}  // namespace await::core
