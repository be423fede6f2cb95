#include <gtest/gtest.h>

#include "core/backoff.h"

namespace await::core {
namespace {

TEST(Backoff, doubles_from_the_minimum_to_the_maximum) {
  Backoff backoff(100, 1000);
  EXPECT_EQ(backoff.next(1), 100);
  EXPECT_EQ(backoff.next(0), 100);
  EXPECT_EQ(backoff.next(1), 400);
  EXPECT_EQ(backoff.next(1), 800);
  EXPECT_EQ(backoff.next(1), 1000);
  EXPECT_EQ(backoff.next(0), 500);
  backoff.reset();
  EXPECT_EQ(backoff.next(1), 100);
}

}  // namespace
}  // namespace await::core
