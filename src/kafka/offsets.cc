#include "kafka/offsets.h"

#include <algorithm>

namespace await::kafka {

void Offsets::received(const Partition &partition, std::int64_t offset) {
  State &state = partitions_[partition];
  // a consumer that has to start again before what it has received gets the same messages once more
  while (!state.messages.empty() && state.messages.back().offset >= offset)
    state.messages.pop_back();
  state.messages.push_back({offset, false});
}

void Offsets::done(const Partition &partition, std::int64_t offset) {
  auto found = partitions_.find(partition);
  if (found == partitions_.end())
    return;
  State &state = found->second;
  auto at = std::lower_bound(state.messages.begin(), state.messages.end(), offset,
                             [](const Message &one, std::int64_t wanted) { return one.offset < wanted; });
  if (at == state.messages.end() || at->offset != offset)
    return;
  at->done = true;
  while (!state.messages.empty() && state.messages.front().done) {
    state.next = state.messages.front().offset + 1;
    state.messages.pop_front();
  }
}

std::vector<std::pair<Partition, std::int64_t>> Offsets::take() {
  std::vector<std::pair<Partition, std::int64_t>> out;
  for (auto &[partition, state] : partitions_) {
    if (state.next)
      out.emplace_back(partition, *std::exchange(state.next, std::nullopt));
  }
  return out;
}

void Offsets::put_back(const Partition &partition, std::int64_t next) {
  auto found = partitions_.find(partition);
  if (found != partitions_.end() && !found->second.next)
    found->second.next = next;
}

std::size_t Offsets::open() const {
  std::size_t count = 0;
  for (const auto &[partition, state] : partitions_)
    count += state.messages.size();
  return count;
}

}  // namespace await::kafka
