#include <gtest/gtest.h>

#include "worker/patience.h"

namespace await::worker {
namespace {

TEST(WorkerPatience, lasts_for_the_lease_and_a_minute_since_the_first_failure) {
  Patience patience(5'000);
  EXPECT_TRUE(patience.lasts(1'000));
  EXPECT_TRUE(patience.lasts(65'999));
  EXPECT_FALSE(patience.lasts(66'000));
  patience.reset();
  EXPECT_TRUE(patience.lasts(66'000));
  EXPECT_TRUE(patience.lasts(130'999));
}

TEST(WorkerPatience, what_was_refused_is_not_repeated) {
  for (Code code : {Code::unavailable, Code::timeout, Code::conflict, Code::exhausted, Code::internal})
    EXPECT_TRUE(Patience::is_passing({code, ""}));
  for (Code code : {Code::invalid, Code::too_large})
    EXPECT_FALSE(Patience::is_passing({code, ""}));
}

}  // namespace
}  // namespace await::worker
