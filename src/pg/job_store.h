#pragma once

#include <string>
#include <vector>

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// What a database says of itself when a connection opens.
struct Hello {
  std::int64_t now_ms = 0;
  std::string timeline;               ///< system id, timeline and database, with dots between them
  std::vector<std::int64_t> keep_ms;  ///< by retention class; 0: for ever
  std::vector<std::string> keys;      ///< what is signed with; behind it what was before, and still counts
  std::string unmade;                 ///< queues that could not be made, and why
  int schema_version = 0;             ///< 0: of before the first release
};

/// Whether `one` is an earlier line of the same server's history than `other`: somebody failed over.
bool is_older(std::string_view one, std::string_view other);

struct Lane {
  std::string queue;
  int priority;
};

/// Says what to do if the database has another schema version than the module needs; empty if they fit.
std::string schema_mismatch(int schema_version);

/// core::Store on PostgreSQL: the functions of sql/functions/edge, one statement a call.
class JobStore : public core::Store, public core::Topics, public core::Gate {
 public:
  /// @param value_max  the largest JSON result that is read along with a job, bytes
  JobStore(Connection &write, Connection &read, int value_max)
      : write_(write), read_(read), value_max_(value_max) {}

  void submit(std::span<const core::NewJob *const> jobs,
              core::Reply<std::vector<core::Submitted>> &reply) override;
  void jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<core::Job>> &reply) override;
  void events(std::span<const core::EventQuery> queries,
              core::Reply<std::vector<core::EventPage>> &reply) override;
  void tail(std::string_view snapshot, core::Reply<core::Tail> &reply) override;
  void heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) override;
  void cancel(const Uuid &id, std::optional<int> seq, core::Reply<core::Cancelled> &reply) override;
  void publish(std::string_view topic, std::string_view type, std::string_view json, bool latest,
               core::Reply<int> &reply) override;
  void use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) override;
  void revoked(core::Reply<std::vector<core::Revoked>> &reply) override;

  /// @param connection  the one to ask
  /// @param lanes  queues and priorities that will be submitted to, made ready now
  void hello(Connection &connection, std::span<const Lane> lanes, core::Reply<Hello> &reply);
  /// Lets time pass in the database: leases, due retries, deadlines. No reply.
  void tick();
  /// Makes partitions, drops old ones. No reply.
  /// @param connection  the one to ask: what follows on it waits, for seconds where much has gone
  void purge(Connection &connection);

  static constexpr int kEventsAPage = 100;
  static constexpr int kUserEventsAPage = 500;
  static constexpr int kTailRows = 20'000;

 private:
  void user_events(std::span<const core::EventQuery> queries,
                   core::Reply<std::vector<core::EventPage>> &reply);

  Connection &write_;
  Connection &read_;
  int value_max_;
};

}  // namespace await::pg
