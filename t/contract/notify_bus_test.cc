// pg::NotifyBus on a real PostgreSQL (AWAIT_POSTGRES). The setting await.notify is that of the session.

#include <gtest/gtest.h>

#include <cstdlib>

#include "io/poll_loop.h"
#include "pg/call.h"
#include "pg/notify_bus.h"

namespace await {
namespace {

struct Lines : io::Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

struct Ear : core::Bus::Listener {
  void on_hint(const core::Hint &hint) override { hints.emplace_back(hint.job, hint.seq); }
  void on_subscription(unsigned shard) override { shards.push_back(shard); }
  void on_revocation() override { ++revocations; }
  std::vector<std::pair<Uuid, int>> hints;
  std::vector<unsigned> shards;
  int revocations = 0;
};

std::string conninfo(const char *notify) {
  const char *value = std::getenv("AWAIT_POSTGRES");
  return std::string(value != nullptr ? value : "") + " options='-c await.notify=" + notify + "'";
}

/// A listening connection, and one that notifies.
class NotifyBusTest : public testing::Test, public pg::Connection::Observer {
 protected:
  void start(const char *notify) {
    connection = std::make_unique<pg::Connection>(loop, log, random,
                                                  pg::Connection::Options{conninfo(notify), "listen"}, this);
    bus = std::make_unique<pg::NotifyBus>(loop, log, random, *connection);
    if (is_worker)
      bus->listen([this](std::string_view queue) { work.emplace_back(queue); },
                  [this](std::string_view id) { ended.emplace_back(id); });
    else
      bus->listen(ear);
    connection->start();
    other.start();
  }
  void connected(pg::Connection &accepted) override {
    accepted.accept();
    bus->on_connection();
  }
  void on_notification(pg::Connection &, std::string_view channel, std::string_view message) override {
    bus->on_notification(channel, message);
  }
  void notify(const char *channel, const std::string &message) {
    pg::Params params;
    params.text(channel).text(message);
    other.send(std::make_unique<pg::Send>("SELECT pg_notify($1, $2)", std::move(params)));
  }
  bool until(const std::function<bool()> &done) { return loop.run_until(done, 10'000); }

  io::PollLoop loop;
  Lines log;
  io::Random random;
  Ear ear;
  bool is_worker = false;
  std::vector<std::string> work, ended;
  std::unique_ptr<pg::Connection> connection;
  std::unique_ptr<pg::NotifyBus> bus;
  pg::Connection other{loop, log, random, {conninfo("off"), "notify"}};
  Uuid job = Uuid::v7(1, 1, random.ten());
};

TEST_F(NotifyBusTest, a_hint_reaches_who_subscribed_to_its_shard_and_nothing_else_does) {
  start("on");
  bus->subscribe(job.shard());
  ASSERT_TRUE(until([&] { return bus->ready(); })) << "its own notification came back";
  EXPECT_EQ(ear.shards, std::vector<unsigned>{job.shard()}) << "earlier hints may have been missed";
  Uuid elsewhere = job;
  while (elsewhere.shard() == job.shard())
    elsewhere = Uuid::v7(1, 1, random.ten());
  for (const char *junk : {"", "1", "proof", "1 x 3 y", "2 01a20229-85dd-7905-b3ad-942074197546 3 y"})
    notify("await_hint", junk);
  notify("await_hint", core::write_hint(elsewhere, 1, "x"));
  notify("await_work", core::write_hint(job, 2, "x"));
  notify("await_revoked", "anything");
  notify("await_hint", core::write_hint(job, 3, "x"));
  ASSERT_TRUE(until([&] { return !ear.hints.empty(); }));
  EXPECT_EQ(ear.hints.size(), 1U);
  EXPECT_EQ(ear.hints[0], std::make_pair(job, 3));
  EXPECT_EQ(ear.revocations, 1);

  bus->unsubscribe(job.shard());
  bus->subscribe(elsewhere.shard());
  notify("await_hint", core::write_hint(job, 4, "x"));
  notify("await_hint", core::write_hint(elsewhere, 5, "x"));
  ASSERT_TRUE(until([&] { return ear.hints.size() > 1; }));
  EXPECT_EQ(ear.hints[1], std::make_pair(elsewhere, 5)) << "what was unsubscribed is not heard";
  EXPECT_TRUE(log.lines.empty());
}

TEST_F(NotifyBusTest, listens_again_after_the_connection_was_lost) {
  start("on");
  bus->subscribe(job.shard());
  ASSERT_TRUE(until([&] { return bus->ready(); }));
  ear.shards.clear();
  connection->reject("a test");
  EXPECT_FALSE(bus->ready());
  ASSERT_TRUE(until([&] { return bus->ready(); }));
  EXPECT_EQ(ear.shards, std::vector<unsigned>{job.shard()}) << "hints may have been missed meanwhile";
}

// was a bug: it was tried once for each connection
TEST_F(NotifyBusTest, listens_when_the_reason_why_it_could_not_has_passed) {
  auto run = [&](const char *sql) {
    other.send(std::make_unique<pg::Send>(sql, pg::Params()));
    ASSERT_TRUE(until([&] { return other.ready() && other.in_flight() == 0; }));
  };
  other.start();
  run("CREATE SCHEMA broken");
  run("CREATE FUNCTION broken.pg_notify(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'");
  start("on -c search_path=broken,pg_catalog");
  bool is_told = until([&] { return !bus->problem().empty(); });
  run("DROP SCHEMA broken CASCADE");
  EXPECT_TRUE(is_told);
  EXPECT_TRUE(until([&] { return bus->ready(); }));
  EXPECT_EQ(bus->problem(), "");
}

TEST_F(NotifyBusTest, does_not_listen_while_the_setting_is_off) {
  start("off");
  ASSERT_TRUE(until([&] { return connection->ready() && connection->in_flight() == 0; }));
  notify("await_revoked", "1");
  ASSERT_TRUE(until([&] { return other.ready() && other.in_flight() == 0; }));
  EXPECT_FALSE(bus->ready());
  EXPECT_EQ(ear.revocations, 0);
  EXPECT_TRUE(log.lines.empty());
}

TEST_F(NotifyBusTest, tells_a_worker_of_work_and_of_jobs_that_were_ended) {
  is_worker = true;
  start("on");
  ASSERT_TRUE(until([&] { return bus->ready(); }));
  notify("await_hint", core::write_hint(job, 1, "x"));
  notify("await_work", "q");
  notify("await_cancel", job.text());
  ASSERT_TRUE(until([&] { return ended.size() > 1; }));
  EXPECT_EQ(work, (std::vector<std::string>{"", "q"})) << "first for any queue: there may be work";
  EXPECT_EQ(ended, (std::vector<std::string>{"", job.text()})) << "first for any job";
}

}  // namespace
}  // namespace await
