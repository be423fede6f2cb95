#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "core/read_batcher.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

struct Reader {
  void got(Result<const Job *> job) {
    ++calls;
    seq = job && *job != nullptr ? (*job)->seq : -1;
  }
  int calls = 0;
  int seq = 0;
  JobRead read{Callback<Result<const Job *>>::to<&Reader::got>(this)};
};

TEST(ReadBatcher, reads_of_the_same_job_share_one_row) {
  FakeStore store;
  FakeScheduler scheduler;
  ReadBatcher<JobRead> batcher(store, scheduler);
  Reader a, b, other, missing;
  a.read.id = b.read.id = id(1);
  other.read.id = id(2);
  missing.read.id = id(3);
  b.read.detail = ResultDetail::body;
  for (Reader *reader : {&a, &b, &other, &missing})
    batcher.add(reader->read);
  batcher.run(0);
  ASSERT_EQ(store.job_queries.size(), 1U);
  ASSERT_EQ(store.job_queries[0].size(), 3U);
  EXPECT_EQ(store.job_queries[0][0].detail, ResultDetail::body) << "as much as the hungriest wants";
  Job one, two;
  one.id = id(1), one.seq = 5;
  two.id = id(2), two.seq = 6;
  store.job_replies.front()->deliver(std::vector<Job>{two, one});
  EXPECT_EQ(a.seq, 5);
  EXPECT_EQ(b.seq, 5);
  EXPECT_EQ(other.seq, 6);
  EXPECT_EQ(missing.seq, -1);
}

struct EventReader {
  void got(Result<const EventPage *> page) { last = page && *page != nullptr ? (*page)->last_seq : -1; }
  int last = 0;
  EventRead read{Callback<Result<const EventPage *>>::to<&EventReader::got>(this)};
};

TEST(ReadBatcher, readers_at_nearly_the_same_position_share_a_page) {
  FakeStore store;
  FakeScheduler scheduler;
  ReadBatcher<EventRead> batcher(store, scheduler);
  EventReader a, b, far;
  a.read.id = b.read.id = far.read.id = id(1);
  a.read.after = 40, b.read.after = 3, far.read.after = 400;
  for (EventReader *reader : {&a, &b, &far})
    batcher.add(reader->read);
  batcher.run(0);
  ASSERT_EQ(store.event_queries[0].size(), 2U);
  EXPECT_EQ(store.event_queries[0][0].after, 3) << "from where the slowest is";
  EXPECT_EQ(store.event_queries[0][1].after, 400) << "but nobody reads hundreds of events again";
  EventPage page;
  page.last_seq = 401;
  store.event_replies.front()->deliver(std::vector<EventPage>{page, page});
  EXPECT_EQ(a.last, 401);
  EXPECT_EQ(b.last, 401);
  EXPECT_EQ(far.last, 401);
}

TEST(ReadBatcher, after_a_large_batch_the_next_one_is_delayed) {
  FakeStore store;
  FakeScheduler scheduler;
  ReadBatcher<JobRead> batcher(store, scheduler);
  std::deque<Reader> herd(200);
  for (Reader &reader : herd)
    batcher.add(reader.read);
  batcher.run(1000);
  EXPECT_EQ(store.job_queries.size(), 1U) << "the first of them wait for nobody";
  Reader late;
  batcher.add(late.read);
  batcher.run(1003);
  EXPECT_EQ(store.job_queries.size(), 1U);
  EXPECT_EQ(scheduler.later, 7);
  batcher.run(1010);
  EXPECT_EQ(store.job_queries.size(), 2U);
  Reader alone;
  batcher.add(alone.read);
  batcher.run(1010);
  EXPECT_EQ(store.job_queries.size(), 3U) << "and who comes alone neither";
}

TEST(ReadBatcher, a_batch_with_result_bodies_is_smaller) {
  FakeStore store;
  FakeScheduler scheduler;
  ReadBatcher<JobRead> batcher(store, scheduler, 1, 16);
  std::deque<Reader> readers(10);
  for (int n = 0; n < 10; ++n) {
    readers[n].read.id = id(n);
    readers[n].read.detail = ResultDetail::body;
    batcher.add(readers[n].read);
  }
  batcher.run(0);
  EXPECT_EQ(store.job_queries[0].size(), 2U) << "a body has up to 64 KB";
}

TEST(ReadBatcher, a_read_does_not_join_a_batch_that_was_sent_before) {
  FakeStore store;
  FakeScheduler scheduler;
  ReadBatcher<JobRead> batcher(store, scheduler, 1);
  Reader early, late;
  early.read.id = late.read.id = id(1);
  batcher.add(early.read);
  batcher.run(0);
  batcher.add(late.read);
  batcher.run(0);
  EXPECT_EQ(store.job_queries.size(), 1U) << "one flight only";
  Job job;
  job.id = id(1);
  store.job_replies.front()->deliver(std::vector<Job>{job});
  EXPECT_EQ(early.calls, 1);
  EXPECT_EQ(late.calls, 0);
  batcher.run(0);
  ASSERT_EQ(store.job_queries.size(), 2U);
  store.job_replies.front()->deliver(Error{Code::unavailable, "x"});
  EXPECT_EQ(late.seq, -1);
}

// One client's value that PostgreSQL refuses failed all that were read with it.
struct RejectedBatchTest : testing::Test {
  struct Asker {
    void got(Result<const Job *> job) {
      ++calls;
      refused = !job;
      seq = job && *job != nullptr ? (*job)->seq : -1;
    }
    int calls = 0;
    bool refused = false;
    int seq = 0;
    JobRead read{Callback<Result<const Job *>>::to<&Asker::got>(this)};
  };
  void ask(ReadBatcher<JobRead> &batcher, int n, std::set<int> bad) {
    askers.resize(askers.size() + static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i)
      askers[static_cast<std::size_t>(i)].read.id = id(i),
      batcher.add(askers[static_cast<std::size_t>(i)].read);
    for (int i : bad)
      poison.insert(id(i));
  }
  /// As PostgreSQL: answers all, or refuses all.
  void answer() {
    std::vector<Job> rows;
    bool refused = false;
    for (const JobQuery &query : store.job_queries[answered++]) {
      refused = refused || poison.contains(query.id);
      rows.emplace_back().id = query.id;
      rows.back().seq = 7;
    }
    auto *reply = store.job_replies.front();
    refused ? reply->deliver(Error{Code::invalid, "bad"}) : reply->deliver(std::move(rows));
  }
  void answer_all(ReadBatcher<JobRead> &batcher) {
    for (std::int64_t now = 1000; now < 5000; ++now) {
      batcher.run(now);
      while (!store.job_replies.empty())
        answer();
    }
  }
  void check(std::set<int> bad) {
    for (std::size_t i = 0; i < askers.size(); ++i) {
      EXPECT_EQ(askers[i].calls, 1) << i;
      EXPECT_EQ(askers[i].refused, bad.contains(static_cast<int>(i))) << i;
      EXPECT_EQ(askers[i].seq, askers[i].refused ? -1 : 7) << i;
    }
  }
  FakeStore store;
  FakeScheduler scheduler;
  std::deque<Asker> askers;
  std::set<Uuid> poison;
  std::size_t answered = 0;
};

TEST_F(RejectedBatchTest, an_invalid_value_fails_only_the_read_that_contains_it) {
  for (std::size_t flights : {1U, 2U, 4U}) {
    for (std::set<int> bad : {std::set<int>{0}, {299}, {150}, {3, 4}, {7, 100, 211, 299}, {}}) {
      askers.clear(), poison.clear(), store.job_queries.clear(), answered = 0;
      ReadBatcher<JobRead> batcher(store, scheduler, flights, 512);
      ask(batcher, 300, bad);
      answer_all(batcher);
      check(bad);
      EXPECT_LE(store.job_queries.size(), 1 + bad.size() * 2 * 9) << "statements, of 300 rows";
    }
  }
}

TEST_F(RejectedBatchTest, all_reads_fail_if_all_values_are_invalid) {
  ReadBatcher<JobRead> batcher(store, scheduler, 2, 64);
  std::set<int> all;
  for (int i = 0; i < 64; ++i)
    all.insert(i);
  ask(batcher, 64, all);
  answer_all(batcher);
  check(all);
  EXPECT_EQ(store.job_queries.size(), 127U);
}

TEST_F(RejectedBatchTest, reads_of_one_row_fail_together_in_one_statement) {
  ReadBatcher<JobRead> batcher(store, scheduler, 1, 64);
  ask(batcher, 40, {});
  poison.insert(id(0));
  for (std::size_t i = 0; i < askers.size(); i += 4)
    askers[i].read.id = id(0);
  answer_all(batcher);
  for (std::size_t i = 0; i < askers.size(); ++i) {
    EXPECT_EQ(askers[i].calls, 1);
    EXPECT_EQ(askers[i].refused, i % 4 == 0);
  }
  EXPECT_LE(store.job_queries.size(), 11U);
}

TEST_F(RejectedBatchTest, new_reads_do_not_wait_while_a_batch_is_split) {
  ReadBatcher<JobRead> batcher(store, scheduler, 2, 64);
  ask(batcher, 64, {5});
  batcher.run(1000);
  answer();
  batcher.run(1100);
  ASSERT_EQ(store.job_queries.size(), 2U) << "half of them; the other flight is for the others";
  Asker late;
  late.read.id = id(900);
  batcher.add(late.read);
  batcher.run(1101);
  ASSERT_EQ(store.job_queries.size(), 3U);
  EXPECT_EQ(store.job_queries[2].size(), 1U) << "and alone: who is innocent is not put to the suspects";
  EXPECT_EQ(store.job_queries[2][0].id, id(900));
  answer_all(batcher);
  check({5});
}

TEST_F(RejectedBatchTest, an_error_other_than_invalid_fails_the_whole_batch) {
  ReadBatcher<JobRead> batcher(store, scheduler, 2, 64);
  ask(batcher, 3, {});
  batcher.run(1000);
  store.job_replies.front()->deliver(Error{Code::unavailable, "away"});
  check({0, 1, 2});
  EXPECT_EQ(store.job_queries.size(), 1U);
}

TEST_F(RejectedBatchTest, a_read_destroyed_while_the_batch_is_split_is_not_called) {
  ReadBatcher<JobRead> batcher(store, scheduler, 2, 64);
  ask(batcher, 10, {5});
  batcher.run(1000);
  answer();
  for (int i = 0; i < 3; ++i)
    askers.pop_back();
  answer_all(batcher);
  check({5});
}

}  // namespace
}  // namespace await::core
