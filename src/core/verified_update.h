#pragma once

#include <utility>

#include "core/job.h"

namespace await::core {

/// What signed hints prove: events that are committed, one after the other, and the job as the last of them
/// leaves it.
struct VerifiedUpdate {
  Job job;
  EventPage page;

  int first() const { return page.events.front().seq; }
  int last() const { return page.last_seq; }
  /// Whether the job has all that a reader of its result would get.
  bool has_body() const { return !job.result || job.result->body.has_value(); }
  /// Takes what comes right after it. False: something lies between.
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
