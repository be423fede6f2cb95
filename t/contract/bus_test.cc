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

/// What publish_all() has said.
struct Outcome {
  void on_reply(Result<Done> result) { said = result ? "accepted" : result.error().detail; }
  std::string said;
  core::Reply<Done> reply = core::Reply<Done>::to<&Outcome::on_reply>(this);
};

TEST_F(BusTest, a_group_is_accepted_when_redis_has_answered_all_of_it) {
  subscribe(job);
  ASSERT_TRUE(loop.run_until([&] { return bus.knows_servers(); }, 10'000));
  std::vector<redis::Bus::Message> group;
  for (int seq = 1; seq <= 500; ++seq)
    group.push_back(redis::Bus::hint(job, seq, "step"));
  Outcome outcome;
  bus.publish_all(group, outcome.reply);
  EXPECT_EQ(outcome.said, "") << "not from within";
  ASSERT_TRUE(loop.run_until([&] { return !outcome.said.empty(); }, 10'000));
  EXPECT_EQ(outcome.said, "accepted");
  ASSERT_TRUE(loop.run_until([&] { return ear.hints.size() >= 500; }, 10'000));
  EXPECT_EQ(ear.hints.back().second, 500) << "in their order";
  Outcome nothing;
  bus.publish_all({}, nothing.reply);
  ASSERT_TRUE(loop.run_until([&] { return !nothing.said.empty(); }, 10'000));
  EXPECT_EQ(nothing.said, "accepted") << "a group of none";
}

TEST_F(BusTest, one_server_of_several_is_enough) {
  redis::Address nowhere;
  nowhere.host = "127.0.0.1";
  nowhere.port = 1;
  auto both = addresses();
  both.insert(both.begin(), nowhere);
  redis::Bus other(loop, log, random, both);
  other.start();
  ASSERT_TRUE(loop.run_until([&] { return other.knows_servers(); }, 10'000));
  Outcome outcome;
  std::vector<redis::Bus::Message> group{redis::Bus::work("q")};
  other.publish_all(group, outcome.reply);
  ASSERT_TRUE(loop.run_until([&] { return !outcome.said.empty(); }, 10'000));
  EXPECT_EQ(outcome.said, "accepted");
}

TEST(BusAway, a_group_for_nobody_is_an_error_with_the_reason) {
  io::PollLoop loop;
  Quiet log;
  io::Random random;
  redis::Address nowhere;
  nowhere.host = "127.0.0.1";
  nowhere.port = 1;
  redis::Bus bus(loop, log, random, {nowhere});
  bus.start();
  ASSERT_TRUE(loop.run_until([&] { return bus.knows_servers(); }, 10'000));
  Outcome outcome;
  std::vector<redis::Bus::Message> group{redis::Bus::work("q")};
  bus.publish_all(group, outcome.reply);
  ASSERT_TRUE(loop.run_until([&] { return !outcome.said.empty(); }, 10'000));
  EXPECT_NE(outcome.said.find("refused"), std::string::npos) << outcome.said;
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
