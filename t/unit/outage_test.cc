#include "io/outage.h"

#include <gtest/gtest.h>

namespace await::io {
namespace {

struct Clock : Loop {
  void post(Task &) override {}
  std::unique_ptr<FdWatcher> watch(int, std::function<void()>) override { return nullptr; }
  std::unique_ptr<Timer> timer(std::function<void()>, Quit) override { return nullptr; }
  std::int64_t monotonic_ms() const override { return now; }
  std::int64_t unix_ms() const override { return now; }
  std::int64_t now = 1'000'000;
};

struct Lines : Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { all.emplace_back(line); }
  std::vector<std::string> take() { return std::exchange(all, {}); }
  std::vector<std::string> all;
};

using Said = std::vector<std::string>;

class OutageTest : public testing::Test {
 protected:
  Clock clock;
  Lines log;
  Outage outage{clock, log};
  Outage::Part part{outage};
};

TEST_F(OutageTest, a_reason_is_logged_when_it_is_new_and_again_after_a_minute) {
  part.fail("closed");
  part.fail("refused");
  part.fail("refused");
  part.fail("closed");
  EXPECT_EQ(log.take(), (Said{"closed", "refused"}));
  EXPECT_EQ(part.reason(), "closed") << "the newest, also if it is not logged";
  clock.now += 59'000;
  part.fail("refused");
  EXPECT_EQ(log.take(), Said{});
  clock.now += 1'000;
  part.fail("refused");
  EXPECT_EQ(log.take(), Said{"refused"}) << "it still holds";
}

TEST_F(OutageTest, the_recovery_is_logged_with_its_duration) {
  part.recover("back");
  EXPECT_EQ(log.take(), Said{}) << "nothing has failed";
  part.fail("refused");
  clock.now += 12'345;
  part.recover("back");
  part.recover("back");
  EXPECT_EQ(log.take(), (Said{"refused", "back after 12 s"}));
  EXPECT_EQ(part.reason(), "");
  part.fail("refused");
  clock.now += 30;
  part.recover("back");
  EXPECT_EQ(log.take(), (Said{"refused", "back after 30 ms"})) << "a new outage";
}

TEST_F(OutageTest, an_outage_of_several_parts_ends_with_the_last_of_them) {
  Outage::Part other(outage);
  part.fail("refused");
  other.fail("refused");
  part.recover("back");
  EXPECT_EQ(log.take(), Said{"refused"});
  other.recover("back");
  EXPECT_EQ(log.take(), Said{"back after 0 ms"});
}

TEST_F(OutageTest, a_part_that_is_destroyed_fails_no_more) {
  {
    Outage::Part other(outage);
    other.fail("refused");
  }
  part.fail("closed");
  part.recover("back");
  EXPECT_EQ(log.take(), (Said{"refused", "closed", "back after 0 ms"}));
}

TEST_F(OutageTest, a_server_that_comes_and_goes_is_logged_less_often) {
  for (int i = 0; i < 600; ++i) {  // a minute
    part.fail("refused");
    clock.now += 50;
    part.recover("back");
    clock.now += 50;
  }
  EXPECT_LE(log.take().size(), 64U);
  clock.now += 200'000;
  part.fail("refused");
  EXPECT_EQ(log.take(), Said{"refused"}) << "later as before";
}

TEST_F(OutageTest, many_reasons_are_bounded) {
  for (int i = 0; i < 1000; ++i)
    part.fail("reason " + std::to_string(i));
  EXPECT_LE(log.take().size(), 20U);
}

}  // namespace
}  // namespace await::io
