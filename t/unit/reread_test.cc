#include <gtest/gtest.h>

#include <deque>

#include "core/reread.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

TEST(Reread, few_jobs_are_read_by_id_many_by_tail_and_by_id_again_after_an_error) {
  FakeStore store;
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  Reread reread(store, hub, {});
  reread.run();
  EXPECT_TRUE(store.heads_asked.empty()) << "nobody watches, nothing is asked";

  std::deque<FakeListener> watchers(300);
  for (int n = 0; n < 300; ++n)
    hub.listen(id(n), watchers[n]);
  reread.run();
  ASSERT_EQ(store.heads_asked.size(), 1U) << "first by id";
  EXPECT_TRUE(store.heads_asked[0].empty()) << "of no job: the snapshot that it begins with";
  reread.run();
  EXPECT_EQ(store.heads_asked.size(), 1U) << "not while one is out";
  store.tail_replies.front()->deliver(Tail{"5:5:", true, {}});
  ASSERT_EQ(store.heads_asked.size(), 2U);
  EXPECT_EQ(store.heads_asked[1].size(), 300U);
  store.tail_replies.front()->deliver(Tail{"6:6:", true, {{id(7), 3}}});
  EXPECT_EQ(watchers[7].calls, std::vector<int>{3});

  reread.run();
  EXPECT_EQ(store.snapshots, std::vector<std::string>{"5:5:"}) << "then the tail since";
  store.tail_replies.front()->deliver(Tail{"7:7:", true, {}});
  reread.run();
  store.tail_replies.front()->deliver(Error{Code::unavailable, "x"});
  reread.run();
  EXPECT_EQ(store.heads_asked.size(), 3U) << "after an error by id";
  store.tail_replies.front()->deliver(Tail{"8:8:", true, {}});
  store.tail_replies.front()->deliver(Tail{"8:8:", true, {}});

  reread.run();
  store.tail_replies.front()->deliver(Tail{"9:9:", false, {}});
  EXPECT_EQ(store.heads_asked.size(), 5U) << "too much for one read: by id, at once";
  EXPECT_EQ(reread.rounds(), 3U) << "neither the one that failed nor the one that is not over";
}

// A user's own read may be older than the snapshot if it was sent before.
TEST(Reread, who_watches_a_user_or_came_meanwhile_reads_after_the_first_snapshot) {
  FakeStore store;
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  Reread reread(store, hub, {});
  FakeListener job, user, late;
  Uuid ann = *Uuid::parse("fffffffe-ffff-8000-8000-000000000001");
  hub.listen(id(1), job);
  hub.listen(ann, user);
  reread.run();
  EXPECT_TRUE(user.calls.empty()) << "not before the snapshot";
  hub.listen(id(2), late);
  store.tail_replies.front()->deliver(Tail{"5:5:", true, {}});
  EXPECT_EQ(user.calls, std::vector<int>{0});
  ASSERT_EQ(store.heads_asked.size(), 2U);
  EXPECT_EQ(store.heads_asked[1].size(), 2U) << "both jobs, not the user";
}

// What changes between two slices is only in the tail since the first.
TEST(Reread, the_snapshot_before_the_first_slice_is_used_for_the_next_tail) {
  FakeStore store;
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub(bus, scheduler);
  Reread reread(store, hub, {.few = 2, .slice = 2});
  std::deque<FakeListener> watchers(4);
  for (int n = 0; n < 4; ++n)
    hub.listen(id(n), watchers[n]);
  reread.run();
  store.tail_replies.front()->deliver(Tail{"5:5:", true, {}});
  ASSERT_EQ(store.heads_asked.size(), 2U);
  store.tail_replies.front()->deliver(Tail{"7:7:", true, {}});
  ASSERT_EQ(store.heads_asked.size(), 3U);
  store.tail_replies.front()->deliver(Tail{"9:9:", true, {}});
  reread.run();
  EXPECT_EQ(store.snapshots, std::vector<std::string>{"5:5:"});
}

}  // namespace
}  // namespace await::core
