#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace await::kafka {

/// A partition of a topic.
using Partition = std::pair<std::string, int>;

/// What has been received of each partition, and may be committed: all before the first message that is not
/// done, whatever was done behind it.
class Offsets {
 public:
  void received(const Partition &partition, std::int64_t offset);
  /// Messages of partitions that were given away meanwhile are ignored.
  void done(const Partition &partition, std::int64_t offset);
  /// The partition was given to another consumer.
  void forget(const Partition &partition) { partitions_.erase(partition); }
  /// The next offset of each partition in which it has grown since the last call.
  std::vector<std::pair<Partition, std::int64_t>> take();
  /// What take() returned was not committed.
  void put_back(const Partition &partition, std::int64_t next);
  /// Messages that were received and are not done, and those behind them.
  std::size_t open() const;

 private:
  struct Message {
    std::int64_t offset;
    bool done;
  };
  struct State {
    std::deque<Message> messages;
    std::optional<std::int64_t> next;
  };
  std::map<Partition, State> partitions_;
};

}  // namespace await::kafka
