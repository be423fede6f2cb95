#include <gtest/gtest.h>

#include "core/job.h"

namespace await::core {
namespace {

TEST(State, a_final_state_never_changes) {
  for (State from : {State::completed, State::failed, State::cancelled, State::expired}) {
    EXPECT_TRUE(is_ending(from));
    for (int to = 0; to < 6; ++to)
      EXPECT_FALSE(may_follow(from, static_cast<State>(to)));
  }
  EXPECT_TRUE(may_follow(State::processing, State::pending)) << "a lost lease";
  EXPECT_FALSE(may_follow(State::pending, State::completed)) << "nobody had it";
  EXPECT_EQ(parse_state("expired"), State::expired);
  EXPECT_FALSE(parse_state("done"));
}

}  // namespace
}  // namespace await::core
