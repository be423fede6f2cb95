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
  reread.run();
  EXPECT_EQ(store.heads_asked.size(), 1U) << "not while one is out";
  store.tail_replies.front()->deliver(Tail{"5:5:", true, {{id(7), 3}}});
  EXPECT_EQ(watchers[7].calls, std::vector<int>{3});

  reread.run();
  EXPECT_EQ(store.snapshots, std::vector<std::string>{"5:5:"}) << "then the tail since";
  store.tail_replies.front()->deliver(Tail{"6:6:", true, {}});
  reread.run();
  store.tail_replies.front()->deliver(Error{Code::unavailable, "x"});
  reread.run();
  EXPECT_EQ(store.heads_asked.size(), 2U);
  store.tail_replies.front()->deliver(Tail{"8:8:", true, {}});

  reread.run();
  store.tail_replies.front()->deliver(Tail{"9:9:", false, {}});
  EXPECT_EQ(store.heads_asked.size(), 3U) << "too much for one read: by id, at once";
  EXPECT_EQ(reread.rounds(), 3U) << "neither the one that failed nor the one that is not over";
  store.tail_replies.front()->deliver(Tail{"9:9:", true, {}});
  EXPECT_EQ(reread.rounds(), 4U);
}

// What changes between two slices is only in the tail since the first.
TEST(Reread, the_snapshot_of_the_first_slice_is_used_for_the_next_tail) {
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
  store.tail_replies.front()->deliver(Tail{"9:9:", true, {}});
  reread.run();
  EXPECT_EQ(store.snapshots, std::vector<std::string>{"5:5:"});
}

}  // namespace
}  // namespace await::core
