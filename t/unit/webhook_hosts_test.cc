#include "relay/webhook_hosts.h"

#include <gtest/gtest.h>

namespace await::relay {
namespace {

const WebhookHosts::Known *find(const std::vector<WebhookHosts::Known> &known, const std::string &host) {
  for (const auto &one : known) {
    if (one.host == host)
      return &one;
  }
  return nullptr;
}

TEST(WebhookHosts, SendNoMoreAtTheSameTimeThanTheyMay) {
  WebhookHosts hosts({2, 1000});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(hosts.has_room("a", 0));
    hosts.started("a");
  }
  EXPECT_FALSE(hosts.has_room("a", 1000));
  EXPECT_TRUE(hosts.has_room("b", 0));
  EXPECT_EQ(find(hosts.known(1000), "a")->rows, 0);
  EXPECT_FALSE(hosts.answered("a", 1000, 0));
  EXPECT_TRUE(hosts.has_room("a", 1000));
  EXPECT_EQ(find(hosts.known(1000), "a")->rows, 2);  // one of them is in flight
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
    return hosts.failed("a", now, true);
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
  hosts.has_room("a", 0);
  for (int i = 0; i < 100; ++i) {
    hosts.started("a");
    hosts.failed("a", 0, true);
  }
  EXPECT_FALSE(hosts.has_room("a", 59'999));
  EXPECT_TRUE(hosts.has_room("a", 60'000));
}

TEST(WebhookHosts, AreNotPausedForWhatOneOfTheirUrlsDoes) {
  WebhookHosts hosts({4, 1000});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(hosts.has_room("a", i));
    hosts.started("a");
    EXPECT_FALSE(hosts.failed("a", i, false));
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

}  // namespace
}  // namespace await::relay
