#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>

namespace await::sim {

/// Virtual time and all the chance there is: a seed replays a run exactly. What is due at the same
/// moment happens in the order in which it was planned.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  std::int64_t now() const { return now_; }
  std::uint64_t steps() const { return steps_; }
  void after(std::int64_t ms, std::function<void()> what) {
    plan_.emplace(std::make_pair(now_ + ms, ++order_), std::move(what));
  }
  /// Does what is due next. False: nothing is.
  bool step();
  /// Goes on for so long, or until something was violated.
  void run(std::int64_t ms);

  double unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  bool chance(double p) { return unit() < p; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(unit() * static_cast<double>(high - low + 1));
  }

  /// For an id.
  std::array<std::uint8_t, 10> ten() {
    std::array<std::uint8_t, 10> out;
    for (auto &byte : out)
      byte = static_cast<std::uint8_t>(between(0, 255));
    return out;
  }

  /// A promise was broken. The first one counts, and ends the run.
  void violated(const std::string &promise, const std::string &what);
  bool broken() const { return !violation_.empty(); }
  const std::string &violation() const { return violation_; }

  /// Remembers what happened lately, for the report.
  void say(const std::string &what);
  const std::deque<std::string> &said() const { return said_; }

 private:
  std::mt19937_64 random_;
  std::int64_t now_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t order_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> plan_;
  std::string violation_;
  std::deque<std::string> said_;
};

}  // namespace await::sim
