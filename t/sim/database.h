#pragma once

#include <map>
#include <set>
#include <span>
#include <vector>

#include "core/kind.h"
#include "core/ports.h"

namespace await::sim {

/// One line of a job's history. `uid` tells apart what a failover would give the same number.
struct Entry {
  int seq;
  core::State state;
  std::uint64_t xid;
  std::uint64_t uid;    // and the order in which they were written: an eid
  std::int64_t at = 0;  // of the first entry
};

/// What was committed at a moment, as pg_snapshot has it.
struct Moment {
  explicit Moment(const std::string &text);
  bool sees(std::uint64_t xid) const { return xid < snapshot.xmax && !snapshot.running.contains(xid); }
  struct {
    std::uint64_t xmax = 0;
    std::set<std::uint64_t> running;
  } snapshot;
};

/// Whose a job is: one of three users, by their channels' ids.
Uuid user_of(const Uuid &job);
Uuid user_id(std::uint8_t n);
Uuid topic_id(std::uint8_t n);

/// PostgreSQL as far as the core can tell: transactions that become visible when they commit, in any
/// order; snapshots; a crash that undoes what was open; a failover that loses the newest commits and
/// gives their numbers out again.
class Database {
 public:
  static constexpr int kPage = 100;
  static constexpr std::size_t kUserPage = 7;
  static constexpr int kUsers = 3;
  static constexpr std::uint64_t kRestoredXid = 99;
  static constexpr int kTopicKept = 12;  ///< events of a topic
  /// Of every other topic only the latest value counts.
  static bool is_latest_only(const Uuid &id) {
    return core::kind_of(id) == core::Kind::topic && id.raw()[15] % 2 == 1;
  }

  std::uint64_t begin();
  void commit(std::uint64_t xid);
  void abort(std::uint64_t xid);
  bool running(std::uint64_t xid) const { return running_.contains(xid); }

  /// Within a transaction. An id stored before stays as it is. Returns when the job was created.
  std::int64_t insert(std::uint64_t xid, const Uuid &job, std::int64_t now = 0);
  /// The next event of a job. The job's row is locked until the transaction ends.
  int append(std::uint64_t xid, const Uuid &job, core::State state);
  bool locked(const Uuid &job) const;

  /// await.revoke().
  void revoke(std::uint64_t xid, const Uuid &user, std::int64_t now) { revoked_[user] = {xid, now}; }
  /// Redeems a ticket. False: it was redeemed before, has expired, or its owner was revoked after it was
  /// issued.
  bool use(const core::TicketUse &ticket, std::int64_t now);

  // what a reader sees now
  bool has(const Uuid &job) const;
  std::vector<Entry> history(const Uuid &job) const;
  std::string snapshot() const;
  std::vector<Uuid> all() const;  ///< jobs
  std::vector<Uuid> jobs_of(const Uuid &user) const;
  std::vector<core::Revoked> revoked() const;
  std::vector<core::Job> jobs(std::span<const core::JobQuery> queries) const;
  std::vector<core::JobPage> lists(std::span<const core::ListQuery> queries) const;
  std::vector<core::EventPage> events(std::span<const core::EventQuery> queries) const;
  core::Tail tail(const std::string &since, std::size_t limit) const;
  core::Tail heads(std::span<const Uuid> ids) const;

  void crash();
  /// A standby takes over that has not got the last `lost` commits.
  void fail_over(std::size_t lost);
  /// Another server is given what this backup had committed: its numbers begin anew.
  void restore(const Database &backup);
  void purge(const Uuid &job);
  bool is_purged(const Uuid &job) const { return purged_.contains(job); }
  std::uint32_t timeline() const { return timeline_; }
  /// Another one whenever a reader may see something else.
  std::uint64_t version() const { return version_; }

 private:
  bool visible(std::uint64_t xid) const { return !running_.contains(xid); }
  void user_events(const core::EventQuery &query, core::EventPage &page) const;
  void erase(std::uint64_t xid);

  std::uint64_t version_ = 1;
  std::uint64_t next_xid_ = kRestoredXid + 1;
  std::uint64_t next_uid_ = 1;
  std::uint32_t timeline_ = 1;
  std::set<std::uint64_t> running_;
  std::vector<std::uint64_t> committed_;     // in the order of their commits
  std::map<Uuid, std::vector<Entry>> jobs_;  // the first entry is the job's own row; topics too
  std::map<Uuid, std::pair<std::uint64_t, std::int64_t>> revoked_;  // by whom, and when
  std::set<Uuid> used_;
  std::set<Uuid> purged_;
};

}  // namespace await::sim
