#include <gtest/gtest.h>

#include "core/retry_queue.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

struct Again : Retry {
  void on_retry() noexcept override { ++calls; }
  int calls = 0;
};

TEST(RetryQueue, each_retry_runs_after_its_own_delay_and_a_destroyed_one_never) {
  FakeScheduler scheduler;
  RetryQueue retries(scheduler);
  Again soon, late;
  retries.put(late, 250);
  retries.put(soon, 2);
  {
    Again gone;
    retries.put(gone, 2);
  }
  retries.run(1000);
  EXPECT_EQ(scheduler.later, 2);
  retries.run(1002);
  EXPECT_EQ(soon.calls, 1);
  EXPECT_EQ(late.calls, 0);
  EXPECT_EQ(scheduler.later, 248);
  retries.run(1250);
  EXPECT_EQ(late.calls, 1);
  EXPECT_EQ(soon.calls, 1);
}

}  // namespace
}  // namespace await::core
