#include <gtest/gtest.h>
#include <unistd.h>

#include "io/poll_loop.h"

namespace await::io {
namespace {

TEST(PollLoop, readiness_is_reported_until_it_is_consumed) {
  PollLoop loop;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  int told = 0;
  auto watch = loop.watch(ends[0], [&] { ++told; });
  watch->want(true, false);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_TRUE(loop.run_until([&] { return told == 2; }, 5000)) << "level-triggered";
  watch->want(false, false);
  loop.round(0);
  EXPECT_EQ(told, 2);
  watch.reset();
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(PollLoop, a_timer_fires_once_and_its_callback_may_destroy_it) {
  PollLoop loop;
  std::unique_ptr<Timer> timer;
  int fired = 0;
  timer = loop.timer(
      [&] {
        ++fired;
        timer.reset();
      },
      Loop::Quit::may);
  timer->set(1);
  EXPECT_TRUE(loop.run_until([&] { return fired == 1; }, 5000));
  loop.round(5);
  EXPECT_EQ(fired, 1);
}

struct CountTask : Task {
  void run() noexcept override { ++runs; }
  int runs = 0;
};

TEST(PollLoop, a_destroyed_task_is_not_run) {
  PollLoop loop;
  CountTask kept;
  {
    CountTask gone;
    loop.post(gone);
    loop.post(kept);
  }
  loop.round(0);
  EXPECT_EQ(kept.runs, 1);
}

}  // namespace
}  // namespace await::io
