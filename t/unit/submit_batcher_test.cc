#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "core/submit_batcher.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

struct Client {
  explicit Client(int n) {
    submission.job.id = id(n), submission.job.queue = "q", submission.job.payload = "x";
  }
  void got(Result<Submitted> outcome) {
    ++calls;
    error = outcome ? "" : outcome.error().detail;
    if (outcome)
      stored = outcome->id;
  }
  int calls = 0;
  std::string error = "none";
  Uuid stored;
  Submission submission{Callback<Result<Submitted>>::to<&Client::got>(this)};
};

struct SubmitBatcherTest : testing::Test {
  FakeStore store;
  FakeBus bus;
  FakeScheduler scheduler;
  SubmitBatcher batcher{store, bus, scheduler, {4, 1 << 20, 2, 1000}};
};

TEST_F(SubmitBatcherTest, submissions_of_one_iteration_share_a_batch_and_more_wait_for_a_free_flight) {
  std::deque<Client> clients;
  for (int n = 0; n < 11; ++n)
    batcher.add(clients.emplace_back(n).submission, 0);
  EXPECT_TRUE(store.batches.empty()) << "nothing is sent within add";
  batcher.run(0);
  ASSERT_EQ(store.batches.size(), 2U) << "two in flight";
  EXPECT_EQ(store.batches[0].ids.size(), 4U);
  store.batches[0].commit();
  EXPECT_EQ(clients[3].stored, id(3));
  EXPECT_EQ(clients[4].calls, 0);
  batcher.run(0);
  ASSERT_EQ(store.batches.size(), 3U);
  EXPECT_EQ(store.batches[2].ids.size(), 3U);
  store.batches[1].commit();
  store.batches[2].commit();
  for (int n = 0; n < 11; ++n) {
    EXPECT_EQ(clients[n].calls, 1);
    EXPECT_EQ(clients[n].stored, id(n)) << "each gets its own";
  }
  EXPECT_EQ(bus.announced, (std::vector<std::string>{"q", "q", "q"})) << "once a batch and queue";
  EXPECT_TRUE(batcher.idle());
}

TEST_F(SubmitBatcherTest, a_destroyed_submission_is_not_called_and_the_others_get_their_own_result) {
  Client first(1), last(3);
  batcher.add(first.submission, 0);
  {
    Client gone(2);
    batcher.add(gone.submission, 0);
    batcher.add(last.submission, 0);
    batcher.run(0);
  }
  store.batches[0].commit();
  EXPECT_EQ(first.stored, id(1));
  EXPECT_EQ(last.stored, id(3));
}

TEST_F(SubmitBatcherTest, a_submission_may_be_stored_from_when_it_is_sent_until_it_is_refused_for_certain) {
  Client client(1);
  batcher.add(client.submission, 0);
  EXPECT_FALSE(client.submission.may_be_stored()) << "it waits";
  batcher.run(0);
  EXPECT_TRUE(client.submission.may_be_stored());
  store.batches[0].answer(Error{Code::invalid, "bad"});
  EXPECT_EQ(client.calls, 1);
  EXPECT_FALSE(client.submission.may_be_stored());

  Client unsure(2);
  batcher.add(unsure.submission, 0);
  batcher.run(0);
  store.batches[1].answer(Error{Code::unavailable, "lost"});
  EXPECT_EQ(unsure.calls, 0) << "it is sent again";
  EXPECT_TRUE(unsure.submission.may_be_stored());
  batcher.run(0);
  store.batches[2].answer(Error{Code::invalid, "bad"});
  EXPECT_EQ(unsure.calls, 1);
  EXPECT_TRUE(unsure.submission.may_be_stored()) << "by the first statement";

  Client stored(3);
  batcher.add(stored.submission, 0);
  batcher.run(0);
  store.batches[3].commit();
  EXPECT_TRUE(stored.submission.may_be_stored());
}

TEST_F(SubmitBatcherTest, an_invalid_row_fails_alone) {
  std::deque<Client> clients;
  for (int n = 0; n < 4; ++n)
    batcher.add(clients.emplace_back(n).submission, 0);
  // a database that refuses row 2, in whatever batch it comes
  for (int round = 0; round < 20; ++round) {
    batcher.run(0);
    while (!store.batches.empty()) {
      auto &batch = store.batches.front();
      bool bad = std::find(batch.ids.begin(), batch.ids.end(), id(2)) != batch.ids.end();
      bad ? batch.answer(Error{Code::invalid, "bad row"}) : batch.commit();
      store.batches.pop_front();
    }
  }
  for (int n = 0; n < 4; ++n) {
    EXPECT_EQ(clients[n].calls, 1);
    EXPECT_EQ(clients[n].error, n == 2 ? "bad row" : "");
  }
}

// A queue that somebody is making in a transaction that stays open: each try waits, and all that follow with
// it.
TEST_F(SubmitBatcherTest, a_conflict_splits_the_batch_by_queue_and_rejects_that_queue_at_once) {
  SubmitBatcher wide{store, bus, scheduler, {64, 1 << 20, 1, 1000}};
  std::deque<Client> clients;
  for (int n = 0; n < 30; ++n) {
    clients.emplace_back(n).submission.job.queue = n % 3 == 0 ? "held" : n % 3 == 1 ? "a" : "b";
    wide.add(clients[n].submission, 0);
  }
  int refused = 0;
  auto answer_all = [&] {
    for (int round = 0; round < 100 && !wide.idle(); ++round) {
      wide.run(0);
      while (!store.batches.empty()) {
        auto &batch = store.batches.front();
        bool held = std::any_of(batch.ids.begin(), batch.ids.end(), [&](const Uuid &one) {
          return std::any_of(clients.begin(), clients.end(), [&](Client &client) {
            return client.submission.job.id == one && client.submission.job.queue == "held";
          });
        });
        refused += held ? 1 : 0;
        held ? batch.answer(Error{Code::conflict, "held"}) : batch.commit();
        store.batches.pop_front();
      }
    }
  };
  answer_all();
  EXPECT_EQ(refused, 2) << "with the others, and alone";
  for (int n = 0; n < 30; ++n) {
    EXPECT_EQ(clients[n].calls, 1);
    EXPECT_EQ(clients[n].error, n % 3 == 0 ? "held" : "") << n;
  }

  // one with a key may be what the others wait for: each is tried
  std::deque<Client> more;
  for (int n = 40; n < 44; ++n) {
    more.emplace_back(n).submission.job.queue = "keyed";
    if (n == 42)
      more.back().submission.job.idempotency.emplace();
    wide.add(more.back().submission, 0);
  }
  for (int round = 0; round < 20 && !wide.idle(); ++round) {
    wide.run(0);
    while (!store.batches.empty()) {
      auto &batch = store.batches.front();
      bool held = std::find(batch.ids.begin(), batch.ids.end(), id(42)) != batch.ids.end();
      held ? batch.answer(Error{Code::conflict, "the key"}) : batch.commit();
      store.batches.pop_front();
    }
  }
  for (Client &client : more)
    EXPECT_EQ(client.error, client.submission.job.id == id(42) ? "the key" : "");
}

TEST_F(SubmitBatcherTest, after_a_lost_connection_the_same_ids_are_sent_again_until_the_timeout) {
  Client client(5);
  batcher.add(client.submission, 0);
  batcher.run(0);
  store.batches[0].answer(Error{Code::unavailable, "gone"});
  EXPECT_EQ(client.calls, 0);
  EXPECT_GT(scheduler.later, 0);
  batcher.run(100);
  ASSERT_EQ(store.batches.size(), 2U);
  EXPECT_EQ(store.batches[1].ids, store.batches[0].ids);
  store.batches[1].answer(Error{Code::unavailable, "gone"});
  batcher.run(1000);
  EXPECT_EQ(client.calls, 1);
  EXPECT_NE(client.error, "");
  EXPECT_EQ(store.batches.size(), 2U);
}

}  // namespace
}  // namespace await::core
