#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/batch_clients.h"
#include "sim/clients.h"
#include "sim/poison.h"
#include "sim/session.h"
#include "sim/ticket.h"

namespace await::sim {

inline constexpr std::size_t kNodes = 3;

/// Counts over runs, to show that something was tested.
struct Totals {
  std::uint64_t steps = 0, jobs = 0, delivered = 0, answers = 0, reconnects = 0, resets = 0, faults = 0,
                ended = 0, tickets = 0, poisoned = 0, purged = 0, batches = 0, ready = 0;
  std::int64_t virtual_ms = 0;
  std::string text() const;
};

/// One history: some nodes, many jobs, workers, clients and faults, for so many steps; then the weather
/// clears, everything must come to rest, every client must have everything, and nothing may be left over.
///
/// Profiles by seed: every fourth is calm, where hints work and must be fast; the others have faults, and
/// every third of all has failovers and restores; two of five have a pooler in front of PostgreSQL.
class Run {
 public:
  Run(std::uint64_t seed, std::uint64_t steps);
  /// @return the violation, empty if there is none
  std::string go(Totals &totals);
  std::vector<std::string> report() const;

 private:
  Weather usual() const;
  void act();
  void submit();
  void work();
  void advance(const Uuid &job, core::State to);
  void hint(const Uuid &id, int seq);
  void tell_user_of(const Uuid &id);
  void publish();
  void tell(std::uint64_t xid);
  void work_on(const Uuid &job);
  Uuid new_id();
  void act_on_batches();
  void submit_batch(Node &node);
  void add_to_batch(Node &node);
  void add_next_phase(std::uint64_t xid, const Uuid &job);
  void cancel(Node &node);
  void list();
  void expire();
  void visit_batches();
  void check_batches();
  void check_left_over();
  void finish_batches();
  /// @param node  which goes down; null: all clients leave
  void leave_batches(Node *node);
  void sweep_batches();
  std::optional<Uuid> some_batch();
  std::optional<Uuid> some_job_of_batches();
  void watch();
  void leave();
  std::optional<Uuid> some_job();
  std::vector<std::unique_ptr<Follower>> channels(bool several);
  void revoke();
  void end_all_of(Node &node, const std::string &owner);
  void check_revoked();
  void show_ticket();
  void sweep_tickets();
  void poison();
  std::unique_ptr<Node> start_node();
  void strike();
  void strike_database(std::int64_t what, std::int64_t lasts);
  void change_history(std::int64_t what, std::int64_t lasts);
  void on_history_changed();
  void lose_lines();
  void purge();
  void purge_one(const Uuid &id);
  void heal();
  void crash(std::size_t node);
  void trouble(std::int64_t ms);
  /// @param mend  ends it; then there is the time to find back
  template <class Mend>
  void trouble_for(std::int64_t ms, Mend mend);
  void check();
  void rest();
  void finish_jobs();
  void tear_down();
  void sweep();

  World world_;
  Weather weather_;
  Database database_{[this] { return world_.now(); }};
  Broker broker_{world_, weather_};
  Service service_{world_, weather_, database_, {}, 0, {}, false, {}};
  std::uint64_t steps_;
  bool calm_;
  bool few_shards_;
  bool failovers_;
  bool acting_ = true;
  bool pooled_;
  std::optional<Database> backup_;
  std::deque<std::pair<Uuid, std::int64_t>> ended_;  // jobs, and when
  std::uint64_t faults_ = 0;
  std::uint64_t purged_ = 0;
  std::uint64_t made_ = 0;
  std::vector<Uuid> open_;  // submitted, and not ended as far as the workers know
  std::vector<std::unique_ptr<HoldClient>> holds_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Submitter>> submitters_;
  std::vector<std::unique_ptr<BatchSubmitter>> batch_submitters_;
  std::vector<std::unique_ptr<BatchAdder>> adders_;
  std::vector<std::unique_ptr<Canceller>> cancellers_;
  std::vector<std::unique_ptr<Lister>> listers_;
  std::map<Uuid, std::int64_t> due_;      // batches, and when they were not due last
  std::map<Uuid, std::int64_t> settled_;  // those of which all has ended, and since when
  std::vector<std::unique_ptr<ShownTicket>> tickets_;
  std::uint64_t tickets_used_ = 0;
  std::vector<std::unique_ptr<Poisoner>> poisoners_;
};

}  // namespace await::sim
