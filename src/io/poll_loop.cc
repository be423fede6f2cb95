#include "io/poll_loop.h"

#include <poll.h>

#include <algorithm>
#include <chrono>

namespace await::io {

class PollLoop::PollWatch : public FdWatcher {
 public:
  PollWatch(PollLoop &loop, int fd, std::function<void()> ready)
      : loop_(loop), fd_(fd), ready_(std::move(ready)) {
    loop_.watches_.push_back(this);
  }
  ~PollWatch() override { std::erase(loop_.watches_, this); }
  void want(bool readable, bool writable) override {
    events_ = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
  }

  void closed() override { events_ = 0; }

  PollLoop &loop_;
  int fd_;
  short events_ = 0;
  std::function<void()> ready_;
};

class PollLoop::PollTimer : public Timer {
 public:
  PollTimer(PollLoop &loop, std::function<void()> fire) : loop_(loop), fire_(std::move(fire)) {
    loop_.timers_.push_back(this);
  }
  ~PollTimer() override { std::erase(loop_.timers_, this); }
  void set(std::int64_t ms) override { at_ = loop_.monotonic_ms() + ms; }
  void clear() override { at_ = -1; }
  bool pending() const override { return at_ >= 0; }

  PollLoop &loop_;
  std::function<void()> fire_;
  std::int64_t at_ = -1;
};

PollLoop::~PollLoop() = default;

std::unique_ptr<FdWatcher> PollLoop::watch(int fd, std::function<void()> ready) {
  return std::make_unique<PollWatch>(*this, fd, std::move(ready));
}

std::unique_ptr<Timer> PollLoop::timer(std::function<void()> fire, Quit) {
  return std::make_unique<PollTimer>(*this, std::move(fire));
}

std::int64_t PollLoop::monotonic_ms() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::int64_t PollLoop::unix_ms() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

void PollLoop::run_tasks() {
  while (Task *task = tasks_.pop_front())
    task->run();
}

void PollLoop::fire_timers() {
  std::int64_t now = monotonic_ms();
  auto due = timers_;  // firing may destroy any of them
  for (PollTimer *timer : due) {
    if (std::find(timers_.begin(), timers_.end(), timer) == timers_.end() || timer->at_ < 0 ||
        timer->at_ > now)
      continue;
    timer->at_ = -1;
    auto fire = timer->fire_;
    fire();
  }
}

void PollLoop::round(std::int64_t max_ms) {
  run_tasks();
  std::int64_t now = monotonic_ms();
  for (PollTimer *timer : timers_) {
    if (timer->at_ >= 0)
      max_ms = std::min(max_ms, std::max<std::int64_t>(0, timer->at_ - now));
  }
  std::vector<pollfd> fds;
  auto watches = watches_;
  for (PollWatch *watch : watches)
    fds.push_back({watch->events_ != 0 ? watch->fd_ : -1, watch->events_, 0});
  ::poll(fds.data(), fds.size(), static_cast<int>(max_ms));
  for (std::size_t i = 0; i < fds.size(); ++i) {
    if (fds[i].revents == 0 || std::find(watches_.begin(), watches_.end(), watches[i]) == watches_.end())
      continue;
    auto ready = watches[i]->ready_;
    ready();
  }
  fire_timers();
  run_tasks();
}

bool PollLoop::run_until(const std::function<bool()> &done, std::int64_t max_ms) {
  std::int64_t end = monotonic_ms() + max_ms;
  while (!done()) {
    std::int64_t left = end - monotonic_ms();
    if (left <= 0)
      return false;
    round(std::min<std::int64_t>(left, 1000));
  }
  return true;
}

}  // namespace await::io
