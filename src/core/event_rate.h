#pragma once

#include <algorithm>
#include <cstdint>

namespace await::core {

/// How many events came in the last seconds.
class EventRate {
 public:
  void add(std::int64_t now_ms, std::int64_t events) {
    roll(now_ms);
    count_ += events;
  }
  /// Events a second, of this second or the one before, whichever had more.
  std::int64_t per_second(std::int64_t now_ms) {
    roll(now_ms);
    return std::max(count_, before_);
  }

 private:
  static constexpr std::int64_t kSecond = 1000;
  void roll(std::int64_t now_ms) {
    if (now_ms - began_ms_ < kSecond)
      return;
    before_ = now_ms - began_ms_ < 2 * kSecond ? count_ : 0;
    count_ = 0;
    began_ms_ = now_ms;
  }

  std::int64_t began_ms_ = 0;
  std::int64_t count_ = 0;
  std::int64_t before_ = 0;
};

}  // namespace await::core
