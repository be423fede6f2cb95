#pragma once

#include <functional>
#include <map>
#include <optional>
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
  std::string data;     // of a batch: its totals then
};

/// How many jobs of a batch, or of a phase, are in which state.
struct Count {
  int total = 0, open = 0, processing = 0, completed = 0, failed = 0, cancelled = 0, expired = 0;
  void add(core::State state);
  int done() const { return total - open; }
  /// As await.batch_totals() has it, without the braces.
  std::string json() const;
};
struct BatchCount : Count {
  std::vector<Count> phases;
};
/// The totals in the data of an event of a batch.
struct Told {
  int total = 0;
  int done = 0;
  static Told in(const std::string &data);
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

  /// @param clock  the virtual time
  explicit Database(std::function<std::int64_t()> clock) : clock_(std::move(clock)) {}

  std::uint64_t begin();
  void commit(std::uint64_t xid);
  void abort(std::uint64_t xid);
  bool running(std::uint64_t xid) const { return running_.contains(xid); }

  /// Within a transaction. An id stored before stays as it is. Returns when the job was created.
  std::int64_t insert(std::uint64_t xid, const Uuid &job, std::int64_t now = 0,
                      const std::string &queue = "");
  /// The next event of a job. The job's row is locked until the transaction ends. An ending counts for the
  /// job's batch.
  int append(std::uint64_t xid, const Uuid &job, core::State state, std::string data = "");
  bool locked(const Uuid &job) const;

  // batches, as sql/functions/batch has them

  void stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs);
  void unstage(const Uuid &batch);
  /// Nobody will learn what became of its submission: if it was refused, purge_uploads() removes what is
  /// staged.
  void leave_to_purge(const Uuid &batch, const std::vector<Uuid> &uploads) {
    left_to_purge_.insert(batch);
    left_uploads_.insert(uploads.begin(), uploads.end());
  }
  void purge_uploads();
  /// What await.edge_submit_batch() returns.
  Result<core::Submitted> submit(std::uint64_t xid, const core::NewBatch &batch, std::int64_t now);
  core::Added add(std::uint64_t xid, const Uuid &batch, const core::NewJob &job, std::int64_t now);
  /// Adds jobs to a batch that is open, which cannot end before the transaction does: await.submit().
  void add_to_batch(std::uint64_t xid, const Uuid &batch, const Uuid &job, int phase, std::int64_t now);
  core::Cancelled cancel(std::uint64_t xid, const Uuid &id, std::optional<int> seq);
  /// Whether who ends the job has to wait for nobody.
  bool may_end(const Uuid &job) const;
  /// What maintenance does for a batch: writes totals that nobody has told, cancels some of the jobs of one
  /// that was cancelled or has expired.
  void visit(std::uint64_t xid, const Uuid &batch);
  std::optional<core::Batch> batch(const Uuid &id) const;
  std::vector<core::Job> jobs_of(const Uuid &batch, const Uuid &after, int limit) const;
  std::vector<core::BatchPage> batch_lists(std::span<const core::ListQuery> queries) const;

  /// A large payload.
  void put_chunk(const Uuid &job);
  void drop_chunks(const Uuid &job);

  // what the checker looks at
  std::vector<Uuid> batches() const;
  std::vector<Uuid> jobs_in(const Uuid &batch) const;  ///< by their ids
  std::optional<Uuid> batch_of(const Uuid &job) const;
  /// One of its jobs, or the one that was made when it was ready.
  bool is_of_batch(const Uuid &job) const { return rows_.at(job).batch || rows_.at(job).made_by; }
  int phase_of(const Uuid &job) const;
  int phases_of(const Uuid &batch) const;
  BatchCount count(const Uuid &batch) const { return count(batch, 0); }
  bool phases_had_jobs(const BatchCount &count) const;
  bool wants_job(const Uuid &batch) const { return batches_.at(batch).on_ready.has_value(); }
  std::vector<Uuid> ready_jobs_of(const Uuid &batch) const;
  /// A transaction that has not ended does something about the batch.
  bool is_busy(const Uuid &batch) const;
  core::ListPosition position_of(const Uuid &id) const {
    return {id, static_cast<std::int64_t>(jobs_.at(id).front().uid)};
  }
  std::size_t staged() const { return staged_.size(); }
  std::vector<Uuid> orphans() const;  ///< chunks of which no job is there
  /// The newest events that a transaction has written, and the jobs that it has created, with seq 1.
  std::vector<std::pair<Uuid, int>> written_by(std::uint64_t xid) const;

  /// await.revoke().
  void revoke(std::uint64_t xid, const Uuid &user, std::int64_t now) { revoked_[user] = {xid, now}; }
  /// Redeems a ticket. False: it was redeemed before, has expired, or its owner was revoked after it was
  /// issued.
  bool use(const core::TicketUse &ticket, std::int64_t now);

  // what a reader sees now
  bool has(const Uuid &job) const;
  std::vector<Entry> history(const Uuid &job) const;
  std::string snapshot() const;
  std::vector<Uuid> all() const;                      ///< jobs
  std::vector<Uuid> jobs_of(const Uuid &user) const;  ///< and batches
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
  std::int64_t timeline_began() const { return timeline_began_; }
  /// Another one whenever a reader may see something else.
  std::uint64_t version() const { return version_; }

 private:
  bool visible(std::uint64_t xid) const { return !running_.contains(xid); }
  void user_events(const core::EventQuery &query, core::EventPage &page) const;
  void erase(std::uint64_t xid);
  void unlock(std::uint64_t xid);
  static std::string event_type(const Uuid &id, core::State state);

  /// What the row of a job has beyond its events.
  struct Row {
    std::string queue;
    std::optional<Uuid> batch;
    int phase = -1;  // its number
    std::string params;
    std::optional<Uuid> made_by;  // the batch whose on_ready it is
  };
  struct BatchRow {
    std::vector<std::string> phases;
    std::optional<std::string> on_ready;
    std::vector<Uuid> jobs;  // some may be undone
  };
  struct Staged {
    std::uint64_t xid;
    Uuid id;
    std::string queue;
    std::optional<std::string> phase;
    std::string params;
  };
  struct Key {
    std::uint64_t xid;
    Uuid first;
    std::string fingerprint;
  };

  /// As a statement of the transaction sees it; null: not at all.
  const Entry *newest(const Uuid &id, std::uint64_t own) const;
  bool sees(std::uint64_t xid, std::uint64_t own) const { return xid == own || visible(xid); }
  BatchCount count(const Uuid &batch, std::uint64_t own) const;
  bool has_ended(const Uuid &id, std::uint64_t own) const;
  std::optional<Uuid> other_open_job(const Uuid &batch, const Uuid &than, std::uint64_t own) const;
  void job_ended(std::uint64_t xid, const Uuid &job, const Uuid &batch);
  void tell_batch(std::uint64_t xid, const Uuid &batch, bool at_once = false);
  void finish_batch(std::uint64_t xid, const Uuid &batch);
  void create_ready_job(std::uint64_t xid, const Uuid &batch);
  void cancel_jobs(std::uint64_t xid, const Uuid &batch, int most);
  std::string totals(const Uuid &batch, std::uint64_t own) const;
  core::Job document(const Uuid &id) const;

  std::function<std::int64_t()> clock_;
  std::uint64_t version_ = 1;
  std::uint64_t next_xid_ = kRestoredXid + 1;
  std::uint64_t next_uid_ = 1;
  std::uint32_t timeline_ = 1;
  std::int64_t timeline_began_ = 0;
  std::set<std::uint64_t> running_;
  std::vector<std::uint64_t> committed_;     // in the order of their commits
  std::map<Uuid, std::vector<Entry>> jobs_;  // the first entry is the job's own row; topics too
  std::map<Uuid, std::pair<std::uint64_t, std::int64_t>> revoked_;  // by whom, and when
  std::map<Uuid, Row> rows_;
  std::map<Uuid, BatchRow> batches_;
  std::map<Uuid, std::int64_t> told_;  // when the totals of a batch were written last
  std::map<std::pair<Uuid, int>, Staged> staged_;
  std::set<Uuid> left_to_purge_;
  std::set<Uuid> left_uploads_;  // jobs of those batches
  std::map<std::string, Key> keys_;
  std::map<Uuid, std::uint64_t> chunks_;  // by whom
  // locks, by the transactions that have them
  std::map<Uuid, std::uint64_t> locked_;            // batches
  std::map<Uuid, std::set<std::uint64_t>> shared_;  // batches to which jobs are added
  std::map<Uuid, std::set<std::uint64_t>> held_;    // jobs that must not end before
  std::set<Uuid> used_;
  std::set<Uuid> purged_;
};

}  // namespace await::sim
