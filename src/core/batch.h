#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/job.h"

namespace await::core {

/// A batch on its way to the store, whose jobs were staged.
struct NewBatch {
  Uuid id;
  int jobs = 0;  ///< how many were staged
  std::optional<std::string> owner;
  std::optional<std::string> correlation_id;
  std::optional<std::string> trace;
  std::vector<std::string> phases;      ///< in their order; empty: it has none
  std::optional<std::string> on_ready;  ///< the queue of the job that is created when the batch is ready
  std::optional<std::int64_t> deadline_ms;
  std::string scope;  ///< the name under which idempotency keys are kept apart
  std::optional<IdempotencyKey> idempotency;
  PendingLimits limits;                ///< of each queue of its jobs
  std::optional<std::string> webhook;  ///< where its own events go, as of NewJob
};

/// A batch after its newest event. Times are Unix milliseconds.
struct Batch {
  Uuid id;
  std::optional<std::string> owner;
  State state = State::pending;
  int seq = 1;
  std::optional<std::string> correlation_id;
  std::optional<std::string> phases;  ///< their names in their order, a JSON array; empty: it has none
  std::string totals;  ///< JSON text: as of now, or, when it is ready, the data of "batch.ready"
  std::int64_t created_at = 0;
  std::int64_t updated_at = 0;
};

}  // namespace await::core
