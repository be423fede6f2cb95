#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include "core/hub.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

TEST(Hub, a_hint_goes_to_the_listeners_of_its_job_only) {
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  FakeListener a, other;
  {
    FakeListener b;
    hub.listen(id(1), a);
    hub.listen(id(1), b);
    hub.listen(id(2), other);
    EXPECT_EQ(hub.listeners(), 3U);
    EXPECT_EQ(hub.jobs(), 2U);
    hub.notify(id(1), 4);
    EXPECT_EQ(b.calls, std::vector<int>{4});
  }
  hub.notify(id(1), 5);
  hub.notify(id(9), 5);
  EXPECT_EQ(a.calls, (std::vector<int>{4, 5}));
  EXPECT_TRUE(other.calls.empty());
  hub.on_history_changed();
  EXPECT_EQ(other.calls, std::vector<int>{-1}) << "that concerns everybody";
  EXPECT_EQ(hub.listeners(), 2U);
}

TEST(Hub, tells_how_many_clients_watch_a_job_and_counts_no_cache) {
  struct Cache : FakeListener {
    bool is_client() const noexcept override { return false; }
  } cache;
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  FakeListener a, b, other;
  hub.listen(id(1), a);
  hub.listen(id(1), b);
  hub.listen(id(1), cache);
  hub.listen(id(2), other);
  EXPECT_EQ(hub.clients(id(1)), 2U);
  EXPECT_EQ(hub.clients(id(9)), 0U);
  hub.leave(a);
  EXPECT_EQ(hub.clients(id(1)), 1U);
}

TEST(Hub, a_shard_is_subscribed_once_and_its_listeners_are_notified_when_that_is_confirmed) {
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  FakeListener a;
  hub.listen(id(1), a);
  EXPECT_EQ(bus.shards, std::set<unsigned>{id(1).shard()});
  hub.on_subscription(id(1).shard());
  EXPECT_EQ(a.calls, std::vector<int>{0}) << "what happened before may have been missed";
  hub.on_subscription(id(2).shard());
  EXPECT_EQ(a.calls.size(), 1U);
  hub.leave(a);
  EXPECT_EQ(bus.shards.size(), 1U) << "kept for who comes next";
  hub.sweep();
  hub.sweep();
  EXPECT_TRUE(bus.shards.empty());
}

/// Told of events, it may let others go, bring new ones, or go itself.
struct FakeWatcher : Listener {
  void on_hint(int seq) noexcept override { hinted.push_back(seq); }
  void on_history_changed() noexcept override {}
  unsigned on_update(const VerifiedUpdate &update) noexcept override {
    for (const Event &event : update.page.events)
      heard.push_back(event.seq);
    const unsigned spent = cost;
    if (auto last_words = std::move(then))
      last_words();  // which may destroy this
    return spent;
  }
  std::vector<int> hinted, heard;
  std::function<void()> then;
  unsigned cost = 1;
};

VerifiedUpdate news(int job, int seq) {
  VerifiedUpdate calls;
  calls.job.id = calls.page.job = id(job);
  calls.job.seq = calls.page.last_seq = seq;
  calls.page.events.emplace_back().seq = seq;
  return calls;
}

struct HubUpdateTest : testing::Test {
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub{bus, scheduler};
};

TEST_F(HubUpdateTest, updates_of_one_iteration_are_delivered_together_and_once) {
  FakeWatcher watcher;
  hub.listen(id(1), watcher);
  for (int seq : {2, 3, 3, 4, 2})
    hub.publish(news(1, seq));
  EXPECT_TRUE(watcher.heard.empty()) << "not before the end of the round";
  EXPECT_EQ(scheduler.wakes, 3);
  hub.run();
  EXPECT_EQ(watcher.heard, (std::vector<int>{2, 3, 4}));
  hub.run();
  EXPECT_EQ(watcher.heard.size(), 3U);
}

TEST_F(HubUpdateTest, an_update_after_a_gap_becomes_a_hint) {
  FakeWatcher watcher;
  hub.listen(id(1), watcher);
  hub.publish(news(1, 2));
  hub.publish(news(1, 5));
  EXPECT_EQ(watcher.hinted, std::vector<int>{5});
  hub.run();
  EXPECT_EQ(watcher.heard, std::vector<int>{2});
}

TEST_F(HubUpdateTest, many_listeners_are_served_within_a_budget_per_iteration) {
  std::deque<FakeWatcher> crowd(Hub::kBudget / 8 + 10);
  for (FakeWatcher &watcher : crowd) {
    watcher.cost = 8;
    hub.listen(id(1), watcher);
  }
  hub.publish(news(1, 2));
  hub.run();
  auto calls = [&] {
    return std::count_if(crowd.begin(), crowd.end(),
                         [](const FakeWatcher &watcher) { return !watcher.heard.empty(); });
  };
  EXPECT_EQ(calls(), Hub::kBudget / 8);
  EXPECT_EQ(scheduler.later, 0);
  hub.notify(id(1), 9);
  EXPECT_TRUE(std::all_of(crowd.begin(), crowd.end(), [](const FakeWatcher &watcher) {
    return watcher.hinted.size() == 1;
  })) << "whose turn is still to come hears of other things";
  hub.publish(news(1, 3));
  crowd.pop_back();
  hub.run();
  hub.run();
  EXPECT_TRUE(std::all_of(crowd.begin(), crowd.end(), [](const FakeWatcher &watcher) {
    return watcher.heard == std::vector<int>({2, 3});
  }));
}

TEST_F(HubUpdateTest, listeners_may_be_added_and_destroyed_during_delivery) {
  auto first = std::make_unique<FakeWatcher>(), second = std::make_unique<FakeWatcher>(),
       third = std::make_unique<FakeWatcher>();
  FakeWatcher late;
  for (auto *watcher : {&first, &second, &third})
    hub.listen(id(1), **watcher);
  first->then = [&] {
    hub.listen(id(1), late);
    second.reset();
    first.reset();
  };
  hub.publish(news(1, 2));
  hub.run();
  EXPECT_EQ(third->heard, std::vector<int>{2});
  EXPECT_TRUE(late.heard.empty()) << "it has read for itself";
  EXPECT_EQ(hub.listeners(), 2U);
  third->then = [&] { third.reset(); };
  hub.leave(late);
  hub.publish(news(1, 3));
  hub.run();
  EXPECT_EQ(hub.jobs(), 0U);
}

TEST_F(HubUpdateTest, updates_from_before_a_failover_are_discarded) {
  FakeWatcher watcher;
  hub.listen(id(1), watcher);
  hub.publish(news(1, 2));
  hub.on_history_changed();
  hub.run();
  EXPECT_TRUE(watcher.heard.empty());
  EXPECT_EQ(hub.listeners(), 1U);
}

TEST(Hub, listeners_may_outlive_the_hub) {
  FakeBus bus;
  FakeListener a;
  {
    FakeScheduler scheduler;
    Hub hub(bus, scheduler);
    hub.listen(id(1), a);
  }
  EXPECT_FALSE(a.listening());
}

}  // namespace
}  // namespace await::core
