#include <gtest/gtest.h>

#include "core/read_scheduler.h"

namespace await::core {
namespace {

using What = ReadScheduler::Action::What;

TEST(ReadScheduler, a_hint_causes_one_read_and_a_seen_one_none) {
  ReadScheduler scheduler(3);
  EXPECT_EQ(scheduler.on_hint(3).what, What::nothing);
  EXPECT_EQ(scheduler.on_hint(4).what, What::read);
  EXPECT_EQ(scheduler.on_hint(4).what, What::nothing) << "doubled";
  EXPECT_EQ(scheduler.on_read(4, 4).what, What::nothing);
  EXPECT_EQ(scheduler.on_hint(2).what, What::nothing) << "late";
}

TEST(ReadScheduler, a_hint_during_a_read_causes_another_read) {
  ReadScheduler scheduler;
  EXPECT_EQ(scheduler.read_now().what, What::read);
  EXPECT_EQ(scheduler.on_hint(2).what, What::nothing);
  EXPECT_EQ(scheduler.on_read(1, 1).what, What::read) << "that one may have begun too early";
  EXPECT_EQ(scheduler.on_read(2, 2).what, What::nothing);
}

TEST(ReadScheduler, a_read_older_than_the_hint_is_retried_four_times) {
  ReadScheduler scheduler(1);
  EXPECT_EQ(scheduler.on_hint(9).what, What::read);
  for (std::int64_t delay : {2, 10, 50, 250}) {
    auto action = scheduler.on_read(1, 1);
    EXPECT_EQ(action.what, What::retry);
    EXPECT_EQ(action.delay_ms, delay);
    EXPECT_EQ(scheduler.read_now().what, What::read);
  }
  EXPECT_EQ(scheduler.on_read(1, 1).what, What::nothing) << "a lie";
  EXPECT_EQ(scheduler.on_hint(2).what, What::read) << "which does not deafen it";
}

TEST(ReadScheduler, a_forged_hint_does_not_hide_a_genuine_one) {
  // was a bug, found by t/fuzz: while a forged hint was tried, a true one of a smaller number was passed over
  ReadScheduler scheduler(1);
  EXPECT_EQ(scheduler.on_hint(1000).what, What::read);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(scheduler.on_read(1, 1).what, What::retry);
    EXPECT_EQ(scheduler.read_now().what, What::read);
  }
  EXPECT_EQ(scheduler.on_hint(2).what, What::nothing) << "a read is out, and may be too old";
  EXPECT_EQ(scheduler.on_read(1, 1).what, What::read);
  EXPECT_EQ(scheduler.on_read(2, 2).what, What::nothing);
}

TEST(ReadScheduler, a_failed_read_is_retried) {
  ReadScheduler scheduler(1);
  EXPECT_EQ(scheduler.on_hint(2).what, What::read);
  auto action = scheduler.on_read_error();
  EXPECT_EQ(action.what, What::retry) << "nobody may ever tell it again";
  EXPECT_EQ(action.delay_ms, 1000);
}

TEST(ReadScheduler, reads_continue_until_the_last_page) {
  ReadScheduler scheduler;
  EXPECT_EQ(scheduler.read_now().what, What::read);
  EXPECT_EQ(scheduler.on_read(100, 250).what, What::read);
  EXPECT_EQ(scheduler.on_read(200, 250).what, What::read);
  EXPECT_EQ(scheduler.on_read(250, 250).what, What::nothing);
}

}  // namespace
}  // namespace await::core
