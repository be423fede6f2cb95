#include "relay/leader.h"

#include <gtest/gtest.h>

#include "unit/relay_fakes.h"

namespace await::relay {
namespace {

class LeaderTest : public testing::Test, protected Leader::Listener {
 protected:
  void on_lead() override { said += "leads "; }
  void on_lost_lead() override { said += "lost "; }
  std::string take() { return std::exchange(said, ""); }
  Lease mine(std::int64_t token) { return {token, "me", 1500}; }
  Lease others(std::int64_t left_ms) { return {std::nullopt, "other:1", left_ms}; }
  void begin() {
    leader.on_connection();
    loop.pass(0);
    leases.answer(mine(7));
  }

  io::FakeLoop loop;
  io::FakeLog log;
  FakeLeases leases;
  std::string said;
  Leader leader{loop, log, leases, "relay", "me", *this};
};

TEST_F(LeaderTest, leads_with_a_token_and_renews_it) {
  EXPECT_FALSE(leader.leads());
  begin();
  EXPECT_EQ(take(), "leads ");
  EXPECT_TRUE(leader.leads());
  EXPECT_EQ(leader.token(), 7);
  EXPECT_EQ(leases.asked[0].token, std::nullopt);
  for (int i = 0; i < 20; ++i) {
    loop.pass(500);
    ASSERT_EQ(leases.replies.empty(), false) << "renewed every 500 ms";
    EXPECT_EQ(leases.asked.back().token, 7);
    leases.answer(mine(7));
  }
  EXPECT_EQ(take(), "") << "said once";
}

TEST_F(LeaderTest, a_standby_takes_over_as_soon_as_the_lease_is_over) {
  leader.on_connection();
  loop.pass(0);
  leases.answer(others(900));
  EXPECT_EQ(leader.holder(), "other:1");
  loop.pass(499);
  EXPECT_EQ(leases.asked.size(), 1U);
  loop.pass(1);
  leases.answer(others(300));
  loop.pass(309);
  EXPECT_EQ(leases.asked.size(), 2U);
  loop.pass(1);
  leases.answer(mine(8));
  EXPECT_EQ(take(), "leads ");
  EXPECT_EQ(leader.holder(), "");
  EXPECT_EQ(log.lines[0], "standing by: other:1 leads the relays \"relay\"");
}

TEST_F(LeaderTest, stops_before_the_lease_is_over_when_it_is_not_renewed) {
  begin();
  loop.pass(1299);  // asked again after 500 ms, and not answered
  EXPECT_TRUE(leader.leads());
  loop.pass(1);
  EXPECT_FALSE(leader.leads());
  EXPECT_EQ(take(), "leads lost ");
  leases.answer(mine(7));
  EXPECT_EQ(take(), "leads ") << "anew, as that lease was asked for 800 ms ago";
  loop.pass(499);
  EXPECT_TRUE(leader.leads());
  loop.pass(1);
  EXPECT_FALSE(leader.leads()) << "and counts from then";
}

TEST_F(LeaderTest, a_lease_counts_from_when_it_was_asked_for) {
  leader.on_connection();
  loop.pass(0);
  loop.pass(1300);
  leases.answer(mine(7));
  EXPECT_FALSE(leader.leads());
  EXPECT_EQ(take(), "");
  loop.pass(0);
  leases.answer(mine(7));
  EXPECT_EQ(take(), "leads ");
}

TEST_F(LeaderTest, a_process_that_stood_still_does_not_lead_before_it_learns_of_it) {
  begin();
  loop.stand_still(2000);
  EXPECT_FALSE(leader.leads());
  loop.pass(0);
  EXPECT_EQ(take(), "leads lost ");
}

TEST_F(LeaderTest, a_renewal_that_comes_too_late_is_a_new_lead) {
  begin();
  loop.pass(500);
  loop.stand_still(1000);  // the lease of before is over, this one is not
  leases.answer(mine(7));
  EXPECT_EQ(take(), "leads lost leads ") << "what was not done since is begun again";
  EXPECT_TRUE(leader.leads());
}

TEST_F(LeaderTest, the_lead_is_lost_to_a_higher_token) {
  begin();
  loop.pass(500);
  leases.answer(others(1500));
  EXPECT_EQ(take(), "leads lost ");
  loop.pass(500);
  EXPECT_EQ(leases.asked.back().token, std::nullopt) << "the old token is of no use";
  leases.answer(mine(9));
  EXPECT_EQ(take(), "leads ");
  leader.on_refused();
  EXPECT_EQ(take(), "lost ");
  leader.on_refused();
  EXPECT_EQ(take(), "") << "said once";
}

TEST_F(LeaderTest, another_connection_means_to_ask_anew) {
  begin();
  loop.pass(500);
  leader.on_connection();
  EXPECT_EQ(take(), "leads lost ");
  EXPECT_TRUE(leases.replies.empty()) << "the answer of the old connection is not waited for";
  loop.pass(0);
  EXPECT_EQ(leases.asked.back().token, 7);
  leases.answer(Error{Code::unavailable, "away"});
  loop.pass(500);
  leases.answer(mine(7));
  EXPECT_EQ(take(), "leads ");
}

TEST_F(LeaderTest, gives_the_lease_back_also_one_that_is_on_its_way) {
  begin();
  leader.release();
  EXPECT_EQ(leases.released, std::vector<std::int64_t>{7});
  EXPECT_FALSE(leader.leads());
  loop.pass(5000);
  EXPECT_EQ(leases.asked.size(), 1U) << "and asks no more";

  Leader second(loop, log, leases, "relay", "me", *this);
  second.on_connection();
  loop.pass(0);
  second.release();
  leases.answer(mine(8));
  EXPECT_EQ(leases.released, (std::vector<std::int64_t>{7, 8}));
  EXPECT_FALSE(second.leads());
}

}  // namespace
}  // namespace await::relay
