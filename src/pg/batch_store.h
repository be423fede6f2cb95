#pragma once

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// core::Batches on PostgreSQL: calls the functions of sql/functions/edge. Batches are written on the
/// connection for bulk data, so that ten thousand jobs do not delay submissions.
class BatchStore : public core::Batches {
 public:
  /// @param value_max  maximum size in bytes of a JSON result that is read together with its job
  BatchStore(Connection &write, Connection &read, Connection &bulk, int value_max)
      : write_(write), read_(read), bulk_(bulk), value_max_(value_max) {}

  void stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs,
             core::Reply<Done> &reply) override;
  void submit(const core::NewBatch &batch, core::Reply<core::Submitted> &reply) override;
  void unstage(const Uuid &batch) override;
  void add(const Uuid &batch, const core::NewJob &job, core::Reply<core::Added> &reply) override;
  void batch(const Uuid &id, core::Reply<std::optional<core::Batch>> &reply) override;
  void jobs_of(const Uuid &batch, const Uuid &after, int limit,
               core::Reply<std::vector<core::Job>> &reply) override;

 private:
  Connection &write_;
  Connection &read_;
  Connection &bulk_;
  int value_max_;
};

}  // namespace await::pg
