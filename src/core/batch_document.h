#pragma once

#include <tuple>
#include <vector>

#include "core/batch.h"

namespace await::core {

/// A batch with a page of its jobs.
struct BatchQuery {
  Uuid id;
  Uuid after;     ///< jobs behind this one; null: from the first
  int limit = 0;  ///< at most so many jobs

  friend bool operator==(const BatchQuery &, const BatchQuery &) = default;
  friend bool operator<(const BatchQuery &a, const BatchQuery &b) {
    return std::tie(a.id, a.after, a.limit) < std::tie(b.id, b.after, b.limit);
  }
};
struct BatchDocument {
  Batch batch;
  std::vector<Job> jobs;  ///< one more than the limit, if there are more
};

}  // namespace await::core
