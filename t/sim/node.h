#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/ended_job_ring.h"
#include "core/hub.h"
#include "core/list_read.h"
#include "core/read_batcher.h"
#include "core/reread.h"
#include "core/retry_queue.h"
#include "core/revocations.h"
#include "core/submit_batcher.h"
#include "core/subscription.h"
#include "core/ticket_batcher.h"
#include "core/watcher.h"
#include "sim/store.h"

namespace await::sim {

class Node;

/// What the database signs cursors with.
inline const core::CursorKeys kKeys = {{0x5eed, 0xf00d}};

/// A signed hint, and the line of history that it is of.
struct Proof {
  core::VerifiedUpdate update;
  std::uint32_t timeline;
};

/// Redis: passes hints to the subscribers, with the faults of the current weather.
class Broker {
 public:
  Broker(World &world, Weather &weather) : world_(world), weather_(weather) {}

  void join(Node &node) { nodes_.push_back(&node); }
  void part(Node &node) { std::erase(nodes_, &node); }
  void publish(const Uuid &job, int seq);
  /// Publishes the hint that await.revoke() returns.
  void publish_revoked();
  /// Redis has restarted, and has lost its subscriptions.
  void restarted();

 private:
  std::optional<Proof> prove(const Uuid &job, int seq);
  World &world_;
  Weather &weather_;
  std::vector<Node *> nodes_;  // in the order of their coming: addresses would differ from run to run
};

/// A node's cache of ended jobs, as http/runtime/zone_cache.cc has it.
class Cache : public core::EndedJobCache {
 public:
  explicit Cache(const std::uint32_t &timeline) : timeline_(timeline) {}
  std::optional<core::Job> find(const Uuid &id, core::ResultDetail want) override {
    return memo_.find(id, want, timeline_);
  }
  void keep(const core::Job &job, core::ResultDetail want) override { memo_.keep(job, want, timeline_); }

 private:
  const std::uint32_t &timeline_;
  alignas(8) std::byte bytes_[16384] = {};
  core::EndedJobRing memo_{bytes_};
};

/// An nginx worker: the real core, connected as in http/runtime/runtime.cc. Destroying it is a crash.
class Node : private core::Scheduler, private core::Bus {
 public:
  static constexpr std::int64_t kRereadMs = 4000;

  /// @param revoked  ends what an owner has live here
  Node(World &world, Weather &weather, Database &database, Broker &broker,
       std::function<void(Node &, const std::string &)> revoked);
  ~Node();

  void hint(const Uuid &job, int seq);
  /// Sends a hint to the channel of the job's user, as http/modules/submit.cc does.
  void tell_user_of(const Uuid &job) { broker_.publish(user_of(job), 0); }
  /// Publishes hints of what a statement of this node has written.
  void tell(std::uint64_t xid);
  void on_update(const Proof &proof);
  /// An owner may have been revoked.
  void look_for_revoked() { revocations.look(); }
  /// Redis has restarted: subscribes anew.
  void subscribe_again();

  std::uint32_t timeline() const { return timeline_; }
  std::uint64_t reads() const { return store.read.count(); }
  core::SubscriptionServices &services(const Uuid &id) {
    return core::kind_of(id) == core::Kind::user ? user_services : event_services;
  }

  World &world;
  Weather &weather;
  Database &database;
  std::map<Uuid, int> ended;  ///< how often whose sessions were ended

 private:
  void run_soon() override;
  void run_after(std::int64_t ms) override;
  void subscribe(unsigned shard) override;
  void unsubscribe(unsigned shard) override { subscribed_.erase(shard), asked_.erase(shard); }
  void publish(const Uuid &, int, std::string_view) override {}
  void announce(std::string_view) override {}
  void run();
  void revoked(const std::string &owner) { end_all_of_(*this, owner); }
  void connected();
  void on_greeting(const Result<std::uint32_t> &timeline);
  void look_at(std::uint32_t timeline);
  void tick();
  template <class Do>
  void later(std::int64_t ms, Do what) {
    world.after(ms, [alive = alive_, what] {
      if (*alive)
        what();
    });
  }

  Broker &broker_;
  std::function<void(Node &, const std::string &)> end_all_of_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::set<unsigned> asked_;
  std::set<unsigned> subscribed_;
  std::uint32_t timeline_ = 0;
  core::CursorKeys keys_;  // known with it
  core::Reply<std::uint32_t> greeting_ = core::Reply<std::uint32_t>::to<&Node::on_greeting>(this);
  bool woken_ = false;
  std::int64_t wake_at_ = 0;

 public:
  Store store;
  core::Hub hub;
  core::SubmitBatcher submit_batcher;
  core::RetryQueue retries;
  core::ReadBatcher<core::JobRead> jobs;
  core::ReadBatcher<core::EventRead> events;
  core::ReadBatcher<core::EventRead> user_events;
  core::ReadBatcher<core::ListRead<core::JobPage>> job_lists;
  core::ReadBatcher<core::ListRead<core::BatchPage>> batch_lists;
  core::ReadServices<core::JobRead> job_services{hub, retries, jobs};
  core::SubscriptionServices event_services{{hub, retries, events}, timeline_, keys_};
  core::SubscriptionServices user_services{{hub, retries, user_events}, timeline_, keys_};
  core::TicketBatcher ticket_batcher{store, *this};
  core::Revocations revocations{store, core::Callback<const std::string &>::to<&Node::revoked>(this)};
  core::Reread reread;
  Cache cache{timeline_};
};

}  // namespace await::sim
