#pragma once

#include <vector>

#include "core/batch.h"

namespace await::core {

/// A batch with a page of its jobs.
struct BatchQuery {
  Uuid id;
  Uuid after;     ///< jobs behind this one; null: from the first
  int limit = 0;  ///< at most so many jobs

  friend auto operator<=>(const BatchQuery &, const BatchQuery &) = default;
};
struct BatchDocument {
  Batch batch;
  std::vector<Job> jobs;  ///< one more than the limit, if there are more
};

}  // namespace await::core
