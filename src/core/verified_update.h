#pragma once

#include <utility>

#include "core/job.h"

namespace await::core {

/// Consecutive committed events of a job, proved by signed hints, and the job after the last of them.
struct VerifiedUpdate {
  Job job;
  EventPage page;

  int first() const { return page.events.front().seq; }
  int last() const { return page.last_seq; }
  /// Whether the job has the body of its result, if it has a result.
  bool has_body() const { return !job.result || job.result->body.has_value(); }
  /// Adds an update that begins right after this one. False: there is a gap.
  bool append(VerifiedUpdate &&next) {
    if (next.first() != last() + 1)
      return false;
    for (Event &event : next.page.events)
      page.events.push_back(std::move(event));
    page.encodings = {};
    page.last_seq = next.page.last_seq;
    page.state = next.page.state;
    job = std::move(next.job);
    return true;
  }
};

}  // namespace await::core
