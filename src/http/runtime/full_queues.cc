#include "http/runtime/full_queues.h"

#include <algorithm>

namespace await::http {
namespace {

std::string key_of(const core::NewJob &job, core::Full full) {
  bool of_owner = full == core::Full::owner;
  int limit = (of_owner ? job.limits.max_pending_per_owner : job.limits.max_pending).value_or(0);
  std::string key = job.queue + (of_owner ? " o" : " q") + std::to_string(limit) + ' ';
  return of_owner ? key + job.owner.value_or("") : key;
}

}  // namespace

std::optional<FullQueues::Known> FullQueues::find(const core::NewJob &job, std::int64_t now_ms) {
  if (entries_.empty())
    return std::nullopt;
  for (core::Full full : {core::Full::owner, core::Full::queue}) {
    auto found = entries_.find(key_of(job, full));
    if (found == entries_.end())
      continue;
    if (now_ms < found->second.until_ms)
      return Known{full, std::max<std::int64_t>(found->second.retry_at_ms - now_ms, 0)};
    entries_.erase(found);
  }
  return std::nullopt;
}

void FullQueues::note(const core::NewJob &job, const core::Submitted &refused, std::int64_t now_ms) {
  if (entries_.size() >= kMost)
    std::erase_if(entries_, [&](const auto &entry) { return entry.second.until_ms <= now_ms; });
  if (entries_.size() >= kMost)
    return;
  entries_[key_of(job, refused.full)] = {now_ms + std::min(kRememberMs, refused.retry_ms),
                                         now_ms + refused.retry_ms};
}

}  // namespace await::http
