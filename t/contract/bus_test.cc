// What every core::Bus must do, on a real Redis (AWAIT_REDIS).

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "io/poll_loop.h"
#include "redis/bus.h"

namespace await {
namespace {

struct Quiet : io::Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

struct Ear : core::Bus::Listener {
  void on_hint(const core::Hint &hint) override { hints.emplace_back(hint.job, hint.seq); }
  void on_subscription(unsigned shard) override { shards.push_back(shard); }
  void on_revocation() override {}
  std::vector<std::pair<Uuid, int>> hints;
  std::vector<unsigned> shards;
};

class BusTest : public testing::Test {
 protected:
  static std::vector<redis::Address> addresses() {
    const char *url = std::getenv("AWAIT_REDIS");
    return {redis::parse_url(url != nullptr ? url : "redis://127.0.0.1:1").operator*()};
  }
  void SetUp() override {
    bus.listen(ear);
    bus.start();
  }
  void subscribe(const Uuid &job) {
    bus.subscribe(job.shard());
    ASSERT_TRUE(loop.run_until([&] { return !ear.shards.empty(); }, 10'000));
    EXPECT_EQ(ear.shards.back(), job.shard());
  }
  io::PollLoop loop;
  Quiet log;
  io::Random random;
  Ear ear;
  redis::Bus bus{loop, log, random, addresses()};
  Uuid job = Uuid::v7(1, 1, random.ten());
};

TEST_F(BusTest, a_hint_reaches_who_subscribed_to_its_shard) {
  subscribe(job);
  ASSERT_TRUE(loop.run_until(
      [&] {
        bus.publish(job, 4, "completed");  // until the publishing connection stands
        loop.round(20);
        return !ear.hints.empty();
      },
      10'000));
  EXPECT_EQ(ear.hints[0].first, job);
  EXPECT_EQ(ear.hints[0].second, 4);
}

TEST_F(BusTest, what_is_no_hint_is_passed_over) {
  subscribe(job);
  std::string channel = "await:" + std::to_string(job.shard());
  ASSERT_TRUE(loop.run_until(
      [&] {
        for (const char *junk : {"", "1", "1 x 3 y", "2 01a20229-85dd-7905-b3ad-942074197546 3 y", "\xff"})
          bus.publish_raw(channel, junk);
        bus.publish(job, 1, "x");
        loop.round(20);
        return !ear.hints.empty();
      },
      10'000));
  for (auto &[id, seq] : ear.hints)
    EXPECT_EQ(id, job);
}

TEST_F(BusTest, unsubscribed_is_deaf_and_a_queue_wakes_its_workers) {
  int woken = 0;
  redis::Bus workers(loop, log, random, addresses());
  workers.subscribe_queue("q", [&] { ++woken; });
  workers.start();
  ASSERT_TRUE(loop.run_until([&] { return woken > 0; }, 10'000))
      << "by the subscription itself: there may be work";
  woken = 0;
  ASSERT_TRUE(loop.run_until(
      [&] {
        bus.announce("q");
        loop.round(20);
        return woken > 0;
      },
      10'000));
  subscribe(job);
  bus.unsubscribe(job.shard());
  Uuid other = Uuid::v7(2, 1, random.ten());
  bus.subscribe(other.shard());
  auto hears_other = [&] {
    bus.publish(job, 1, "x");
    bus.publish(other, 2, "x");
    loop.round(20);
    return std::any_of(ear.hints.begin(), ear.hints.end(), [&](auto &hint) { return hint.first == other; });
  };
  ASSERT_TRUE(loop.run_until(hears_other, 10'000));
  ear.hints.clear();  // what was published before Redis had taken the unsubscription
  ASSERT_TRUE(loop.run_until(hears_other, 10'000));
  for (auto &[id, seq] : ear.hints)
    EXPECT_EQ(id, other);
}

struct Confirmed {
  void on_confirmed(Result<Done> outcome) { outcomes.push_back(outcome ? "" : outcome.error().detail); }
  std::vector<std::string> outcomes;
  core::Reply<Done> reply = core::Reply<Done>::to<&Confirmed::on_confirmed>(this);
};

redis::Address nowhere() {
  redis::Address out;
  out.host = "127.0.0.1";
  out.port = 1;
  return out;
}

TEST_F(BusTest, confirms_what_a_server_has_executed) {
  subscribe(job);
  ASSERT_TRUE(loop.run_until([&] { return bus.can_publish(); }, 10'000));
  Confirmed confirmed;
  for (int seq = 1; seq <= 100; ++seq)
    bus.publish(job, seq, "x");
  bus.confirm(confirmed.reply);
  EXPECT_TRUE(confirmed.outcomes.empty()) << "not before it has answered";
  ASSERT_TRUE(loop.run_until([&] { return !confirmed.outcomes.empty(); }, 10'000));
  EXPECT_EQ(confirmed.outcomes[0], "");
  EXPECT_TRUE(loop.run_until([&] { return ear.hints.size() == 100; }, 10'000));
  bus.confirm(confirmed.reply);
  EXPECT_EQ(confirmed.outcomes.size(), 2U) << "nothing was published since: at once";
}

TEST(BusOfTwo, confirms_what_one_of_them_has_executed) {
  io::PollLoop loop;
  Quiet log;
  io::Random random;
  redis::Bus bus(loop, log, random, {nowhere(), redis::parse_url(std::getenv("AWAIT_REDIS")).operator*()});
  bus.start();
  ASSERT_TRUE(loop.run_until([&] { return bus.can_publish(); }, 10'000));
  Confirmed confirmed;
  bus.publish_raw("x", "y");
  bus.confirm(confirmed.reply);
  ASSERT_TRUE(loop.run_until([&] { return !confirmed.outcomes.empty(); }, 10'000));
  EXPECT_EQ(confirmed.outcomes[0], "");
}

TEST(BusAway, confirms_nothing) {
  io::PollLoop loop;
  Quiet log;
  io::Random random;
  redis::Bus bus(loop, log, random, {nowhere()});
  EXPECT_EQ(bus.publish_problem(), "") << "it is not known yet";
  bus.start();
  ASSERT_TRUE(loop.run_until([&] { return !bus.publish_problem().empty(); }, 10'000));
  EXPECT_FALSE(bus.can_publish());
  Confirmed confirmed;
  bus.publish_raw("x", "y");
  bus.confirm(confirmed.reply);
  ASSERT_EQ(confirmed.outcomes.size(), 1U);
  EXPECT_NE(confirmed.outcomes[0].find("refused"), std::string::npos) << confirmed.outcomes[0];
}

TEST(BusAway, comes_back_by_itself_and_says_so_once) {
  io::PollLoop loop;
  Quiet log;
  io::Random random;
  redis::Address nowhere;
  nowhere.host = "127.0.0.1";
  nowhere.port = 1;
  redis::Bus bus(loop, log, random, {nowhere});
  bus.start();
  bus.publish(Uuid(), 1, "x");
  loop.run_until([] { return false; }, 400);
  EXPECT_EQ(log.lines.size(), 1U);
}

}  // namespace
}  // namespace await
