#pragma once

#include <list>
#include <memory>
#include <set>
#include <vector>

#include "core/gather.h"
#include "core/hub.h"
#include "core/intake.h"
#include "core/memo.h"
#include "core/reread.h"
#include "core/retries.h"
#include "core/watcher.h"
#include "sim/store.h"

namespace await::sim {

class Node;

/// A signed hint, and the line of history that it is of.
struct Proof {
  core::Told told;
  std::uint32_t timeline;
};

/// Redis: hands hints to whoever has subscribed, as badly as the weather is.
class Broker {
 public:
  Broker(World &world, Weather &weather) : world_(world), weather_(weather) {}

  void join(Node &node) { nodes_.push_back(&node); }
  void part(Node &node) { std::erase(nodes_, &node); }
  void publish(const Uuid &job, int seq);
  /// It is back, and has forgotten who had subscribed.
  void restarted();

 private:
  std::optional<Proof> prove(const Uuid &job, int seq);
  World &world_;
  Weather &weather_;
  std::vector<Node *> nodes_;  // in the order of their coming: addresses would differ from run to run
};

/// What a node remembers of ended jobs, as http/cache.cc has it.
class Cache : public core::Memory {
 public:
  explicit Cache(const std::uint32_t &timeline) : timeline_(timeline) {}
  std::optional<core::Job> find(const Uuid &id, core::Want want) override {
    return memo_.find(id, want, timeline_);
  }
  void keep(const core::Job &job, core::Want want) override { memo_.keep(job, want, timeline_); }

 private:
  const std::uint32_t &timeline_;
  alignas(8) std::byte bytes_[16384] = {};
  core::Memo memo_{bytes_};
};

/// An nginx worker: the real core, wired as http/process.cc wires it. Destroying it is its crash.
class Node : private core::Wake, private core::Bus {
 public:
  static constexpr std::int64_t kRereadMs = 4000;

  Node(World &world, Weather &weather, Database &database, Broker &broker);
  ~Node();

  void hint(const Uuid &job, int seq);
  /// As http/submit.cc tells who watches the job's user.
  void tell_user_of(const Uuid &job) { broker_.publish(user_of(job), 0); }
  void told(const Proof &proof);
  /// Redis has restarted: subscribes anew.
  void subscribe_again();

  std::uint32_t timeline() const { return timeline_; }
  std::uint64_t reads() const { return store.read.count(); }

  World &world;
  Weather &weather;
  Database &database;

 private:
  void wake() override;
  void wake_in(std::int64_t ms) override;
  void subscribe(unsigned shard) override;
  void unsubscribe(unsigned shard) override { subscribed_.erase(shard), asked_.erase(shard); }
  void publish(const Uuid &, int, std::string_view) override {}
  void announce(std::string_view) override {}
  void run();
  void connected();
  void tick();
  template <class Do>
  void later(std::int64_t ms, Do what) {
    world.after(ms, [alive = alive_, what] {
      if (*alive)
        what();
    });
  }

  Broker &broker_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::set<unsigned> asked_;
  std::set<unsigned> subscribed_;
  std::uint32_t timeline_ = 0;
  bool woken_ = false;

 public:
  Store store;
  core::Hub hub;
  core::Intake intake;
  core::Retries retries;
  core::Gather<core::JobNeed> jobs;
  core::Gather<core::EventNeed> events;
  core::Gather<core::EventNeed> user_events;
  core::Desk<core::JobNeed> job_desk{hub, retries, jobs};
  core::Desk<core::EventNeed> event_desk{hub, retries, events};
  core::Desk<core::EventNeed> user_desk{hub, retries, user_events};
  core::Reread reread;
  Cache cache{timeline_};
};

}  // namespace await::sim
