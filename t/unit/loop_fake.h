#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/log.h"
#include "io/loop.h"

namespace await::io {

/// A loop whose time passes when the test says so. It watches no descriptors and runs no tasks.
class FakeLoop : public Loop {
 public:
  void post(Task &) override {}
  std::unique_ptr<FdWatcher> watch(int, std::function<void()>) override { return nullptr; }
  std::unique_ptr<Timer> timer(std::function<void()> fire, Quit) override {
    return std::make_unique<FakeTimer>(*this, std::move(fire));
  }
  std::int64_t monotonic_ms() const override { return now_; }
  std::int64_t unix_ms() const override { return now_; }

  /// Lets time pass, with timers in their order.
  void pass(std::int64_t ms) {
    std::int64_t until = now_ + ms;
    while (FakeTimer *next = first(until)) {
      now_ = std::max(now_, next->at);
      next->at = -1;
      next->fire();
    }
    now_ = until;
  }
  /// The process stands still: time passes, and no timer runs before the next pass().
  void stand_still(std::int64_t ms) { now_ += ms; }

 private:
  struct FakeTimer : Timer {
    FakeTimer(FakeLoop &of, std::function<void()> run) : loop(of), fire(std::move(run)) {
      loop.timers_.push_back(this);
    }
    ~FakeTimer() override { std::erase(loop.timers_, this); }
    void set(std::int64_t ms) override { at = loop.now_ + ms; }
    void clear() override { at = -1; }
    bool pending() const override { return at >= 0; }
    FakeLoop &loop;
    std::function<void()> fire;
    std::int64_t at = -1;
  };
  FakeTimer *first(std::int64_t until) {
    FakeTimer *next = nullptr;
    for (FakeTimer *timer : timers_) {
      if (timer->at >= 0 && timer->at <= until && (next == nullptr || timer->at < next->at))
        next = timer;
    }
    return next;
  }

  std::int64_t now_ = 1'000'000;
  std::vector<FakeTimer *> timers_;
};

struct FakeLog : Log {
  void info(std::string_view line) override { lines.emplace_back(line); }
  void error(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

}  // namespace await::io
