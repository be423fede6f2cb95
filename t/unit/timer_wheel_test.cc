#include <gtest/gtest.h>

#include "core/timer_wheel.h"

namespace await::core {
namespace {

struct Beat : TimerEntry {
  void on_due() noexcept override { ++beats; }
  int beats = 0;
};

TEST(TimerWheel, an_entry_is_due_once_after_its_ticks) {
  TimerWheel wheel(8);
  Beat one, three;
  wheel.put(one, 1);
  wheel.put(three, 3);
  {
    Beat gone;
    wheel.put(gone, 2);
  }
  wheel.tick();
  EXPECT_EQ(one.beats, 1);
  wheel.tick();
  wheel.tick();
  EXPECT_EQ(one.beats, 1) << "once each time it is put on";
  EXPECT_EQ(three.beats, 1);
}

}  // namespace
}  // namespace await::core
