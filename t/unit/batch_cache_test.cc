#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/batch_news.h"
#include "core/batch_reads.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

Uuid batch_id(int n) { return id(n).as_v8(); }

BatchDocument document(int n, int seq, int jobs = 3, State state = State::processing) {
  BatchDocument out;
  out.batch.id = batch_id(n);
  out.batch.owner = "ann";
  out.batch.state = state;
  out.batch.seq = seq;
  out.batch.totals = "{\"processing\":1}";
  for (int i = 0; i < jobs; ++i) {
    Job job;
    job.id = id(1000 + i);
    job.queue = "q";
    job.waiting = "{}";
    out.jobs.push_back(job);
  }
  return out;
}

/// A worker's view of a cache, with a clock.
struct Cache : BatchCache {
  Cache(std::span<std::byte> memory, std::span<std::uint64_t> generations) : ring(memory, generations) {}
  BatchReadStart start(const Uuid &batch) override { return {ring.generation(batch), timeline, now}; }
  std::optional<BatchDocument> find(const BatchQuery &query, std::int64_t open_ms) override {
    std::string packed = ring.find(query, open_ms, timeline, now);
    return packed.empty() ? std::nullopt : BatchRing::unpack(packed);
  }
  void keep(const BatchQuery &query, const BatchDocument &document,
            const std::optional<BatchReadStart> &start, std::int64_t open_ms) override {
    ring.keep(query, document, BatchRing::pack(document), start, timeline, open_ms);
  }
  void outdate(const Uuid &batch) override { ring.outdate(batch); }
  /// A read that began and ended now.
  void read(const BatchDocument &document, int limit = 50) {
    keep({document.batch.id, {}, limit}, document, start(document.batch.id), 1000);
  }
  int seq(int n, int limit = 50, std::int64_t open_ms = 1000) {
    auto found = find({batch_id(n), {}, limit}, open_ms);
    return found ? found->batch.seq : 0;
  }
  BatchRing ring;
  std::uint32_t timeline = 7;
  std::int64_t now = 5000;
};

struct BatchCacheTest : testing::Test {
  std::span<std::byte> memory() { return std::as_writable_bytes(std::span(bytes)); }
  std::vector<std::uint64_t> bytes = std::vector<std::uint64_t>(16384);
  std::vector<std::uint64_t> generations = std::vector<std::uint64_t>(64);
  Cache cache{memory(), generations};
  Cache other{memory(), generations};
};

TEST_F(BatchCacheTest, a_document_is_found_unchanged_by_every_process_while_it_is_new) {
  cache.read(document(1, 2));
  auto found = other.find({batch_id(1), {}, 50}, 1000);
  ASSERT_TRUE(found);
  EXPECT_EQ(BatchRing::pack(*found), BatchRing::pack(document(1, 2)));
  EXPECT_EQ(cache.seq(2), 0) << "of another batch";
  other.now += 999;
  EXPECT_EQ(other.seq(1), 2);
  EXPECT_EQ(other.seq(1, 50, 999), 0) << "the reader's own limit counts, too";
  other.now += 1;
  EXPECT_EQ(other.seq(1), 0) << "its time is over";
  other.now -= 500;
  other.timeline = 8;
  EXPECT_EQ(other.seq(1), 0) << "after a failover";
}

TEST_F(BatchCacheTest, news_outdate_what_was_read_before_and_what_is_being_read) {
  cache.read(document(1, 2));
  auto start = cache.start(batch_id(1));
  other.outdate(batch_id(1));
  EXPECT_EQ(cache.seq(1), 0);
  cache.keep({batch_id(1), {}, 50}, document(1, 2), start, 1000);
  EXPECT_EQ(cache.seq(1), 0) << "nobody knows whether the read saw it";
  cache.read(document(1, 3));
  EXPECT_EQ(cache.seq(1), 3);
}

TEST_F(BatchCacheTest, of_two_reads_at_the_same_time_the_first_is_stored_if_they_are_equal) {
  auto one = cache.start(batch_id(1));
  auto two = other.start(batch_id(1));
  cache.keep({batch_id(1), {}, 50}, document(1, 2), one, 1000);
  other.keep({batch_id(1), {}, 50}, document(1, 2), two, 1000);
  EXPECT_EQ(cache.seq(1), 2) << "they are equal";
  auto three = cache.start(batch_id(1));
  auto four = other.start(batch_id(1));
  cache.keep({batch_id(1), {}, 50}, document(1, 3), three, 1000);
  other.keep({batch_id(1), {}, 50}, document(1, 4), four, 1000);
  EXPECT_EQ(cache.seq(1), 0) << "they differ: which is newer is unknown";
}

TEST_F(BatchCacheTest, what_was_read_elsewhere_outdates_unless_it_is_equal) {
  cache.read(document(1, 2));
  cache.keep({batch_id(1), {}, 50}, document(1, 2), std::nullopt, 0);
  EXPECT_EQ(cache.seq(1), 2);
  cache.keep({batch_id(1), {}, 50}, document(1, 3), std::nullopt, 0);
  EXPECT_EQ(cache.seq(1), 0);
  auto start = cache.start(batch_id(1));
  cache.timeline = 8;
  cache.keep({batch_id(1), {}, 50}, document(1, 3), start, 1000);
  EXPECT_EQ(cache.seq(1), 0) << "it was read before a failover";
}

TEST_F(BatchCacheTest, pages_stand_beside_each_other_while_they_tell_the_same_of_the_batch) {
  BatchQuery second{batch_id(1), id(1001), 50};
  cache.read(document(1, 2, 51));
  cache.keep(second, document(1, 2, 5), cache.start(batch_id(1)), 1000);
  EXPECT_TRUE(cache.find(second, 1000));
  EXPECT_EQ(cache.seq(1), 2);
  EXPECT_EQ(cache.seq(1, 20), 2) << "a part of the first page";
  EXPECT_EQ(cache.seq(1, 51), 0) << "more than is stored";
  cache.keep(second, document(1, 3, 5), cache.start(batch_id(1)), 1000);
  EXPECT_TRUE(cache.find(second, 1000));
  EXPECT_EQ(cache.seq(1), 0) << "the second page is newer";
}

TEST_F(BatchCacheTest, a_batch_that_is_ready_stays) {
  auto start = cache.start(batch_id(1));
  cache.outdate(batch_id(1));
  cache.keep({batch_id(1), {}, 50}, document(1, 9, 3, State::completed), start, 0);
  cache.outdate(batch_id(1));
  cache.now += 100'000;
  EXPECT_EQ(cache.seq(1, 200, 0), 9) << "all its jobs are there";
  cache.read(document(2, 9, 3, State::cancelled));
  EXPECT_EQ(cache.seq(2, 50, 0), 0) << "the jobs of a cancelled batch end later";
}

TEST_F(BatchCacheTest, an_open_document_is_stored_in_the_place_of_the_last_one) {
  Cache filler(memory(), generations);
  filler.read(document(1, 9, 3, State::completed));
  for (int seq = 1; seq < 5000; ++seq)
    cache.read(document(2, seq));
  EXPECT_EQ(cache.seq(2), 4999);
  EXPECT_EQ(cache.seq(1), 9) << "so it evicts nobody";
  for (int n = 3; n < 1000; ++n)
    cache.read(document(n, 9, 3, State::completed));
  EXPECT_EQ(cache.seq(1), 0) << "many others do";
  cache.read(document(5000, 1, 500));
  EXPECT_EQ(cache.seq(5000), 0) << "an eighth of all is the most";
}

TEST_F(BatchCacheTest, bytes_that_are_no_document_are_none) {
  std::string packed = BatchRing::pack(document(1, 2));
  for (std::size_t n = 0; n < packed.size(); ++n)
    EXPECT_FALSE(BatchRing::unpack(std::string_view(packed).substr(0, n)));
  EXPECT_FALSE(BatchRing::unpack(packed + "x"));
}

struct FakeBatches : Batches {
  void stage(const Uuid &, int, std::span<const NewJob>, Reply<Done> &) override {}
  void submit(const NewBatch &, Reply<Submitted> &) override {}
  void unstage(const Uuid &) override {}
  void add(const Uuid &, const NewJob &, Reply<Added> &) override {}
  void batch(const Uuid &id, Reply<std::optional<Batch>> &reply) override {
    asked.push_back(id);
    batch_replies.push_back(reply);
  }
  void jobs_of(const Uuid &, const Uuid &, int, Reply<std::vector<Job>> &reply) override {
    job_replies.push_back(reply);
  }
  void answer(const BatchDocument &document) {
    batch_replies.pop_front()->deliver(std::optional(document.batch));
    job_replies.pop_front()->deliver(document.jobs);
  }
  std::vector<Uuid> asked;
  List<Reply<std::optional<Batch>>> batch_replies;
  List<Reply<std::vector<Job>>> job_replies;
};

struct Reader {
  explicit Reader(BatchReads &reads, BatchCache *cache = nullptr, int n = 1) {
    read.query = {batch_id(n), {}, 50};
    read.cache = cache;
    read.open_ms = 1000;
    reads.add(read);
  }
  void on_document(Result<const BatchDocument *> document) {
    seq = !document ? -1 : *document == nullptr ? -2 : (*document)->batch.seq;
  }
  int seq = 0;
  BatchRead read{Callback<Result<const BatchDocument *>>::to<&Reader::on_document>(this)};
};

struct BatchReadsTest : BatchCacheTest {
  BatchReadsTest() { news.add(cache); }
  FakeBus bus;
  FakeScheduler scheduler;
  Hub hub{bus, scheduler};
  BatchNews news{hub};
  FakeBatches batches;
  BatchReads reads{batches, scheduler, news};
};

TEST_F(BatchReadsTest, those_that_want_the_same_share_a_statement_but_join_none_that_was_sent) {
  Reader one(reads), two(reads), other(reads, nullptr, 2);
  reads.run(0);
  EXPECT_EQ(batches.asked, (std::vector{batch_id(1), batch_id(2)}));
  Reader late(reads), later(reads);
  reads.run(0);
  EXPECT_EQ(batches.asked.size(), 2U);
  batches.answer(document(1, 2));
  reads.run(0);
  EXPECT_EQ(one.seq + two.seq, 4);
  EXPECT_EQ(late.seq, 0);
  EXPECT_EQ(batches.asked.size(), 3U) << "one for both";
  batches.batch_replies.pop_front()->deliver(std::optional<Batch>());
  batches.job_replies.pop_front()->deliver(std::vector<Job>());
  batches.answer(document(1, 3));
  reads.run(0);
  EXPECT_EQ(late.seq + later.seq, 6);
  EXPECT_EQ(other.seq, -2) << "there is no such batch";
}

TEST_F(BatchReadsTest, a_failure_is_told_and_a_failover_reads_again) {
  Reader one(reads);
  reads.run(0);
  batches.batch_replies.pop_front()->deliver(Error{Code::unavailable, ""});
  batches.job_replies.pop_front()->deliver(Error{Code::unavailable, ""});
  reads.run(0);
  EXPECT_EQ(one.seq, -1);
  Reader two(reads);
  reads.run(0);
  batches.answer(document(1, 2));
  reads.on_history_changed();
  reads.run(0);
  EXPECT_EQ(two.seq, 0);
  batches.answer(document(1, 1));
  reads.run(0);
  EXPECT_EQ(two.seq, 1);
}

TEST_F(BatchReadsTest, who_waits_is_answered_from_the_cache_after_the_read_of_others) {
  Reader one(reads, &cache);
  reads.run(0);
  EXPECT_TRUE(hub.watches(batch_id(1))) << "watched before the read";
  Reader late(reads, &cache), newest(reads, &cache);
  newest.read.least_seq = 3;
  reads.run(0);
  batches.answer(document(1, 2));
  reads.run(0);
  EXPECT_EQ(one.seq, 2);
  EXPECT_EQ(late.seq, 2);
  EXPECT_TRUE(late.read.from_cache);
  EXPECT_EQ(newest.seq, 0) << "it knows of an event that is not in the document";
  batches.answer(document(1, 3));
  reads.run(0);
  EXPECT_EQ(newest.seq, 3);
  Reader fresh(reads, &cache);
  fresh.read.from_cache = false;
  reads.run(0);
  EXPECT_EQ(fresh.seq, 0) << "it wants no cache";
  news.sweep(2000);
  EXPECT_EQ(news.watches(), 0U);
  EXPECT_EQ(hub.listeners(), 0U);
}

TEST_F(BatchReadsTest, news_outdate_once) {
  cache.read(document(1, 2));
  news.on_event(batch_id(1), 2);
  EXPECT_EQ(cache.seq(1), 0) << "it may have been read before";
  cache.read(document(1, 2));
  news.on_event(batch_id(1), 2);
  news.on_hint(batch_id(1), 2);
  EXPECT_EQ(cache.seq(1), 2) << "known";
  news.on_hint(batch_id(1), 1'000'000);
  EXPECT_EQ(cache.seq(1), 0) << "perhaps";
  cache.read(document(1, 2));
  news.on_hint(batch_id(1), 3);
  EXPECT_EQ(cache.seq(1), 0) << "a forged hint hides none that is true";
  cache.read(document(1, 3));
  news.on_hint(batch_id(1), 0);
  EXPECT_EQ(cache.seq(1), 0) << "hints may have been missed";
  cache.read(document(1, 3));
  Job job;
  job.id = id(1000);
  job.seq = 4;
  job.batch = batch_id(1).text();
  news.on_row(job);
  EXPECT_EQ(cache.seq(1), 0) << "a job of it has changed";
  cache.read(document(1, 3));
  news.on_row(job);
  EXPECT_EQ(cache.seq(1), 3);
  news.on_history_changed();
  news.on_event(batch_id(1), 2);
  EXPECT_EQ(cache.seq(1), 0) << "numbers count from anew";
}

TEST_F(BatchReadsTest, every_form_in_which_a_batch_is_told_of_is_news) {
  EventPage page = page_up_to(5);
  page.job = batch_id(1);
  EventPage of_user = merged("1:1:", {1});
  of_user.events[0].origin->job = batch_id(1);
  of_user.events[0].seq = 6;
  BatchPage list;
  list.entries.push_back(document(1, 7).batch);
  JobPage jobs;
  jobs.entries.emplace_back();
  jobs.entries[0].id = id(1000);
  jobs.entries[0].batch = batch_id(1).text();
  auto outdates = [this](const auto &row) {
    cache.read(document(1, 4));
    news.on_row(row);
    return cache.seq(1) == 0;
  };
  EXPECT_TRUE(outdates(page));
  EXPECT_TRUE(outdates(of_user));
  EXPECT_TRUE(outdates(list));
  EXPECT_TRUE(outdates(jobs));
  EXPECT_FALSE(outdates(list)) << "known";
}

}  // namespace
}  // namespace await::core
