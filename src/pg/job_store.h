#pragma once

#include <vector>

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// core::Store on PostgreSQL: calls the functions of sql/functions/edge, one statement per call.
class JobStore : public core::Store, public core::Topics, public core::AccessStore {
 public:
  /// @param value_max  maximum size in bytes of a JSON result that is read together with its job
  JobStore(Connection &write, Connection &read, int value_max)
      : write_(write), read_(read), value_max_(value_max) {}

  void submit(std::span<const core::NewJob *const> jobs,
              core::Reply<std::vector<core::Submitted>> &reply) override;
  void jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<core::Job>> &reply) override;
  void events(std::span<const core::EventQuery> queries,
              core::Reply<std::vector<core::EventPage>> &reply) override;
  void lists(std::span<const core::ListQuery> queries,
             core::Reply<std::vector<core::JobPage>> &reply) override;
  void lists(std::span<const core::ListQuery> queries,
             core::Reply<std::vector<core::BatchPage>> &reply) override;
  void tail(std::string_view snapshot, core::Reply<core::Tail> &reply) override;
  void heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) override;
  void cancel(const Uuid &id, std::optional<int> seq, core::Reply<core::Cancelled> &reply) override;
  void retry(const Uuid &id, const core::PendingLimits &limits, core::Reply<core::Retried> &reply) override;
  void standing(const Uuid &id, core::Reply<core::Standing> &reply) override;
  void publish(std::string_view topic, std::string_view type, std::string_view json, bool latest,
               core::Reply<int> &reply) override;
  void use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) override;
  void revocations(core::Reply<std::vector<core::Revoked>> &reply) override;

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
