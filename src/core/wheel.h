#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/list.h"

namespace await::core {

struct OnWheel {};

/// Something due at a whole tick of a Wheel. Destroying it takes it off.
class Spoke : public Hook<OnWheel> {
 public:
  /// Due. It may put itself on again, or destroy itself, but no other spoke.
  virtual void due() noexcept = 0;

 protected:
  ~Spoke() = default;
};

/// A timing wheel: one timer for all heartbeats, however many streams are open.
class Wheel {
 public:
  explicit Wheel(std::size_t slots) : slots_(slots) {}

  /// Due in `ticks` ticks from now, at least 1, at most slots - 1. Again: moves it.
  void put(Spoke &spoke, std::size_t ticks) {
    ticks = std::clamp<std::size_t>(ticks, 1, slots_.size() - 1);
    slots_[(now_ + ticks) % slots_.size()].push_back(spoke);
  }

  void tick() {
    now_ = (now_ + 1) % slots_.size();
    List<Spoke, OnWheel> due;
    due.take_all(slots_[now_]);
    while (Spoke *spoke = due.pop_front())
      spoke->due();
  }

 private:
  std::vector<List<Spoke, OnWheel>> slots_;
  std::size_t now_ = 0;
};

}  // namespace await::core
