#include <gtest/gtest.h>

#include "wire/accept.h"

namespace await::wire {
namespace {

TEST(Accept, the_offer_with_the_highest_quality_is_chosen) {
  constexpr std::string_view kOffers[] = {"application/json", "text/plain", "text/event-stream"};
  auto chosen = [&](std::string_view accept) { return choose(accept, kOffers); };
  EXPECT_EQ(chosen(""), 0);
  EXPECT_EQ(chosen("*/*"), 0);
  EXPECT_EQ(chosen("text/plain"), 1);
  EXPECT_EQ(chosen("text/event-stream"), 2);
  EXPECT_EQ(chosen("text/*"), 1);
  EXPECT_EQ(chosen("application/json;q=0.5, text/plain"), 1);
  EXPECT_EQ(chosen("*/*;q=0.1, text/event-stream;q=0.2"), 2);
  EXPECT_EQ(chosen("application/json;q=0, */*"), 1);
  EXPECT_EQ(chosen("image/png"), -1);
  EXPECT_EQ(chosen("text/html,application/xhtml+xml,*/*;q=0.8"), 0);
}

}  // namespace
}  // namespace await::wire
