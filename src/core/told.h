#pragma once

#include "core/job.h"

namespace await::core {

/// What a signed hint proves: an event that is committed, and the job as that event leaves it.
struct Told {
  Job job;
  EventPage page;  ///< that one event
  /// Whether the job has all that a reader of its result would get.
  bool has_body() const { return !job.result || job.result->body.has_value(); }
};

}  // namespace await::core
