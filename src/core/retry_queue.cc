#include "core/retry_queue.h"

#include <algorithm>

namespace await::core {

void RetryQueue::run(std::int64_t now_ms) {
  while (Retry *retry = fresh_.pop_front())
    insert(*retry, now_ms);
  List<Retry, IsRetry> due;
  std::int64_t next = INT64_MAX;
  for (auto &list : waiting_) {
    while (list.front() != nullptr && list.front()->when_ms_ <= now_ms)
      due.push_back(*list.front());
    if (list.front() != nullptr)
      next = std::min(next, list.front()->when_ms_);
  }
  if (next != INT64_MAX)
    scheduler_.run_after(next - now_ms);
  while (Retry *retry = due.pop_front())
    retry->on_retry();
}

void RetryQueue::insert(Retry &retry, std::int64_t now_ms) {
  std::size_t i = 0;
  while (i + 1 < std::size(kDelays) && kDelays[i] < retry.when_ms_)
    ++i;
  retry.when_ms_ = now_ms + kDelays[i];
  waiting_[i].push_back(retry);
}

}  // namespace await::core
