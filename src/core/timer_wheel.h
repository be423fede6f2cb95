#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/list.h"

namespace await::core {

struct OnTimerWheel {};

/// An entry of a TimerWheel. Destroying it removes it.
class TimerEntry : public Hook<OnTimerWheel> {
 public:
  /// It is due, and no longer on the wheel. May add itself again or destroy itself, but no other entry.
  virtual void on_due() noexcept = 0;

 protected:
  ~TimerEntry() = default;
};

/// A timing wheel: one timer for the heartbeats of all connections. A tick is as long as its caller makes it.
class TimerWheel {
 public:
  explicit TimerWheel(std::size_t slots) : slots_(slots) {}

  /// Adds or moves an entry. It is due in `ticks` ticks, at least 1, at most slots - 1.
  void put(TimerEntry &entry, std::size_t ticks) {
    ticks = std::clamp<std::size_t>(ticks, 1, slots_.size() - 1);
    slots_[(now_ + ticks) % slots_.size()].push_back(entry);
  }

  void tick() {
    now_ = (now_ + 1) % slots_.size();
    List<TimerEntry, OnTimerWheel> due;
    due.take_all(slots_[now_]);
    while (TimerEntry *entry = due.pop_front())
      entry->on_due();
  }

 private:
  std::vector<List<TimerEntry, OnTimerWheel>> slots_;
  std::size_t now_ = 0;
};

}  // namespace await::core
