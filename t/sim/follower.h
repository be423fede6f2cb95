#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>

#include "core/cursor.h"
#include "core/subscription.h"
#include "sim/service.h"

namespace await::sim {

/// What a client hears of one channel.
struct Message {
  std::string cursor;
  Uuid job;
  int seq = 0;  ///< 0: no event, only the cursor
  std::uint64_t uid = 0;
  bool reset = false;
  std::uint32_t timeline = 0;  ///< of the history it was read from
  Told told = {};              ///< the totals of a batch
};

/// A client's view of one channel, through any number of connections to any node. What it is given is
/// compared with the truth.
class Follower {
 public:
  Follower(Service &service, const Uuid &id) : service_(service), id_(id) {}
  virtual ~Follower() = default;

  const Uuid &id() const { return id_; }
  core::Kind kind() const { return core::kind_of(id_); }
  core::Subscription::Source source(std::string cursor) const;
  virtual void hear(const Message &message) = 0;
  /// What it holds may be of a history that never was.
  virtual void failed_over() = 0;
  /// Whether it is owed something for too long.
  /// @param ready  whether it is connected, and nothing is on its way
  virtual void check_wait(bool ready) = 0;
  /// Whether there is nothing it has not.
  virtual bool has_all() const = 0;
  /// Whether nothing will ever come.
  virtual bool done() const { return false; }
  /// It comes with a cursor that it has made up, or that says nothing of this channel.
  virtual void excuse() {}

  std::string name() const;

 protected:
  Service &service_;
  Uuid id_;
};

/// Of a job, a batch or a topic: numbers without a hole.
class HistoryFollower : public Follower {
 public:
  HistoryFollower(Service &service, const Uuid &id);
  void hear(const Message &message) override;
  void failed_over() override;
  void check_wait(bool ready) override;
  bool has_all() const override;
  bool done() const override;
  void excuse() override { excused_ = true; }

 private:
  void check(const Message &message);
  void take_reset(const Message &message);
  int knows() const { return next_ - 1; }
  int last() const;
  bool is_real(int seq, std::uint64_t uid) const;
  void check_totals(const Message &message);

  int next_;                                         // 0: a topic of which nothing was heard
  std::vector<std::pair<int, std::uint64_t>> held_;  // since the last reset
  bool must_be_reset_ = false;                       // it holds what a failover has undone
  bool excused_ = false;                             // and may be reset for its cursor
  std::deque<std::pair<int, std::int64_t>> owed_;    // events it does not know, and since when they are there
  int knew_ = 0;                                     // when it was last looked at
  Told told_;                                        // of a batch: its last totals
};

/// Of a user: everything committed after its first moment, each event once, each job's in order.
class UserFollower : public Follower {
 public:
  using Follower::Follower;
  void hear(const Message &message) override;
  void failed_over() override;
  void check_wait(bool ready) override;
  bool has_all() const override;
  void excuse() override { excused_ = true; }

 private:
  void check(const Message &message);
  void begin(std::string since);
  /// The events it should have by now: number by number, as the database wrote them.
  using Due = std::map<std::uint64_t, std::pair<Uuid, int>>;
  const Due &due() const;

  std::string since_;  // the moment from which on it is owed everything; empty: it knows of none
  std::set<std::uint64_t> had_;
  std::map<Uuid, int> at_;                         // the last seq of each job
  std::map<std::uint64_t, std::int64_t> waiting_;  // what it is owed, and since when that is there
  std::size_t knew_ = 0;                           // how many it had when it was last looked at
  bool must_be_reset_ = false;
  bool excused_ = false;
  mutable Due due_;  // as of then
  mutable std::pair<std::uint64_t, std::string> due_at_;
};

}  // namespace await::sim
