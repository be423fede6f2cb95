#include "relay/webhook_hosts.h"

#include <gtest/gtest.h>

namespace await::relay {
namespace {

using Trouble = WebhookHosts::Trouble;

const WebhookHosts::Known *find(const std::vector<WebhookHosts::Known> &known, const std::string &host) {
  for (const auto &one : known) {
    if (one.host == host)
      return &one;
  }
  return nullptr;
}

TEST(WebhookHosts, SendNoMoreAtTheSameTimeThanTheyMay) {
  WebhookHosts hosts({2, 1000});
  hosts.has_room("a", 0);
  hosts.started("a");
  hosts.answered("a", 0, 0);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(hosts.has_room("a", 500));
    hosts.started("a");
  }
  EXPECT_FALSE(hosts.has_room("a", 1000));
  EXPECT_TRUE(hosts.has_room("b", 0));
  EXPECT_EQ(find(hosts.known(1000), "a")->room, 0);
  EXPECT_FALSE(hosts.answered("a", 1000, 0));
  EXPECT_TRUE(hosts.has_room("a", 1000));
  EXPECT_EQ(find(hosts.known(1000), "a")->room, 1);
}

TEST(WebhookHosts, SendNoMoreInASecondThanTheyMay) {
  WebhookHosts hosts({4, 10});
  int sent = 0;
  for (std::int64_t now = 0; now < 10'000; ++now) {
    if (hosts.has_room("a", now)) {
      hosts.started("a");
      hosts.answered("a", now, 0);
      ++sent;
    }
  }
  EXPECT_GE(sent, 99);
  EXPECT_LE(sent, 104);
  EXPECT_TRUE(hosts.throttled());
}

TEST(WebhookHosts, ThatCannotBeReachedGetOneAtATimeAndPauses) {
  WebhookHosts hosts({4, 1000});
  auto fail = [&](std::int64_t now) {
    hosts.started("a");
    return hosts.failed("a", now, Trouble::away);
  };
  hosts.has_room("a", 0);
  EXPECT_FALSE(fail(0));
  EXPECT_FALSE(fail(0));
  EXPECT_TRUE(fail(0)) << "is told the third time";
  EXPECT_FALSE(hosts.has_room("a", 999));
  ASSERT_TRUE(hosts.has_room("a", 1000));
  EXPECT_FALSE(fail(1000)) << "and once";
  EXPECT_FALSE(hosts.has_room("a", 2999));
  ASSERT_TRUE(hosts.has_room("a", 3000));
  hosts.started("a");
  EXPECT_FALSE(hosts.has_room("a", 3000));
  EXPECT_TRUE(hosts.answered("a", 3000, 0)) << "is told again";
  hosts.started("a");
  EXPECT_TRUE(hosts.has_room("a", 3001));
}

TEST(WebhookHosts, ArePausedForAMinuteAtMost) {
  WebhookHosts hosts({4, 1000});
  std::int64_t now = 0, pause = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(hosts.has_room("a", now));
    hosts.started("a");
    hosts.failed("a", now, Trouble::away);
    for (pause = 0; !hosts.has_room("a", now); pause += 1000)
      now += 1000;
  }
  EXPECT_EQ(pause, 60'000);
}

TEST(WebhookHosts, ArePausedOnceForThoseThatFailTogether) {
  WebhookHosts hosts({32, 1000});
  hosts.has_room("a", 0);
  for (int i = 0; i < 32; ++i)
    hosts.started("a");
  for (int i = 0; i < 32; ++i)
    hosts.failed("a", 0, Trouble::away);
  EXPECT_FALSE(hosts.has_room("a", 999));
  EXPECT_TRUE(hosts.has_room("a", 1000));
}

TEST(WebhookHosts, AreNotPausedForWhatOneOfTheirUrlsDoes) {
  WebhookHosts hosts({4, 1000});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(hosts.has_room("a", i));
    hosts.started("a");
    EXPECT_FALSE(hosts.failed("a", i, Trouble::of_url));
  }
}

TEST(WebhookHosts, ArePausedWhenTheyAskForIt) {
  WebhookHosts hosts({4, 1000});
  hosts.has_room("a", 0);
  hosts.started("a");
  hosts.answered("a", 0, 5000);
  EXPECT_FALSE(hosts.has_room("a", 4999));
  EXPECT_TRUE(hosts.has_room("a", 5000));
}

TEST(WebhookHosts, KnowSinceWhenTheirLineIsReadAndForgetIt) {
  WebhookHosts hosts({4, 1000});
  hosts.saw("unknown", 1);
  EXPECT_TRUE(hosts.known(0).empty());
  hosts.has_room("a", 0);
  hosts.started("a");
  hosts.saw("a", 100'000'000);
  hosts.saw("a", 90'000'000);
  EXPECT_EQ(find(hosts.known(0), "a")->since_us, 40'000'000);
  hosts.forget(0);
  EXPECT_EQ(find(hosts.known(0), "a")->since_us, 0) << "what is in flight stays known";
  hosts.answered("a", 10, 0);
  hosts.forget(20);
  EXPECT_TRUE(hosts.known(20).empty());
}

TEST(WebhookHosts, BeginWithOneAtATimeAndMayHaveMoreWithEachAnswer) {
  WebhookHosts hosts({8, 10'000});
  std::int64_t now = 0;
  auto room = [&] { return find(hosts.known(now += 10), "a")->room; };
  ASSERT_TRUE(hosts.has_room("a", 0));
  EXPECT_EQ(room(), 1);
  for (int expected : {2, 4, 8, 8}) {
    hosts.started("a");
    hosts.answered("a", now, 0);
    EXPECT_EQ(room(), expected);
  }
  for (int expected : {4, 2, 1, 1}) {
    hosts.started("a");
    EXPECT_FALSE(hosts.failed("a", now, Trouble::slow));
    EXPECT_EQ(room(), expected) << "fewer while it does not answer in time";
  }
}

TEST(WebhookHosts, ThatWereNotTriedShareHalfOfTheRoomAndSilentOnesAQuarter) {
  WebhookHosts hosts({8, 10'000, 20});
  ASSERT_TRUE(hosts.has_room("good", 0));
  hosts.started("good");
  hosts.answered("good", 0, 0);
  auto start_all = [&](const std::string &prefix) {
    int sent = 0;
    for (int i = 0; i < 100; ++i) {
      std::string name = prefix + std::to_string(i);
      for (; hosts.has_room(name, 0); ++sent)
        hosts.started(name);
    }
    return sent;
  };
  EXPECT_EQ(start_all("hangs"), 10);
  EXPECT_EQ(start_all("new"), 0);
  EXPECT_TRUE(hosts.has_room("good", 0));
  for (int i = 0; i < 10; ++i)
    hosts.failed("hangs" + std::to_string(i), 0, Trouble::slow);
  EXPECT_EQ(hosts.room(), 20);
  int again = 0;
  for (int i = 0; i < 10; ++i) {
    std::string name = "hangs" + std::to_string(i);
    for (; hosts.has_room(name, 0); ++again)
      hosts.started(name);
  }
  EXPECT_EQ(again, 5);
  EXPECT_EQ(start_all("new"), 10) << "silent ones take nothing from those that were not tried";
  EXPECT_EQ(hosts.room(), 5);
  hosts.answered("hangs0", 0, 0);
  EXPECT_EQ(hosts.room(), 6);
  ASSERT_TRUE(hosts.has_room("hangs0", 0));
  hosts.started("hangs0");
  EXPECT_FALSE(hosts.has_room("hangs0", 0)) << "it may hang again";
  hosts.answered("hangs1", 60'000, 0);
  EXPECT_TRUE(hosts.has_room("hangs1", 60'000)) << "it answers again";
  hosts.forget(1000);
  EXPECT_NE(find(hosts.known(1000), "hangs9"), nullptr) << "silence is remembered";
  hosts.forget(3'700'000);
  EXPECT_EQ(find(hosts.known(3'700'000), "hangs9"), nullptr) << "for an hour";
}

TEST(WebhookHosts, ThatAnswerSlowlyShareTheQuarterOfSilentOnes) {
  WebhookHosts hosts({8, 10'000, 20});
  auto answer = [&](const std::string &host, std::int64_t now, std::int64_t took_ms) {
    ASSERT_TRUE(hosts.has_room(host, now));
    hosts.started(host);
    hosts.answered(host, now, 0, took_ms);
  };
  std::int64_t now = 0;
  auto start_all = [&] {
    int sent = 0;
    for (const char *name : {"a", "b"}) {
      for (; hosts.has_room(name, now); ++sent)
        hosts.started(name);
    }
    return sent;
  };
  for (const char *name : {"a", "b"}) {
    for (int i = 0; i < 3; ++i)
      answer(name, now, 100);
    answer(name, now, 2'000);
  }
  answer("a", ++now, 100);
  EXPECT_EQ(start_all(), 5) << "one quick answer does not change that";
  EXPECT_EQ(hosts.room(), 15);
  for (now = 60'001; hosts.room() < 20;)
    hosts.answered("a", now, 0, 100);
  EXPECT_GE(start_all(), 8) << "a minute later they are as others";
}

TEST(WebhookHosts, SendNoMoreToAllThanTheyMay) {
  WebhookHosts hosts({8, 10'000, 3});
  for (const char *name : {"a", "a", "b"}) {
    ASSERT_TRUE(hosts.has_room(name, 0));
    hosts.started(name);
    hosts.answered(name, 0, 0);
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(hosts.has_room("a", 1000));
    hosts.started("a");
  }
  EXPECT_EQ(hosts.room(), 0);
  EXPECT_FALSE(hosts.has_room("b", 1000));
}

}  // namespace
}  // namespace await::relay
