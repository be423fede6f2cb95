#include "core/batch_intake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace await::core {
namespace {

struct FakeBatches : Batches {
  void stage(const Uuid &, int first, std::span<const NewJob> jobs, Reply<Done> &reply) override {
    EXPECT_EQ(first, static_cast<int>(staged.size()) + 1);
    EXPECT_TRUE(waiting.empty()) << "one unacknowledged at a time";
    for (const NewJob &job : jobs)
      staged.push_back(job.content_type), ids.push_back(job.id);
    ++portions;
    waiting.push_back(reply);
  }
  void submit(const NewBatch &, Reply<Submitted> &reply) override { submitted.push_back(reply); }
  void unstage(const Uuid &) override { ++unstaged; }
  void add(const Uuid &, const NewJob &, Reply<Added> &) override {}
  void batch(const Uuid &, Reply<std::optional<Batch>> &) override {}
  void jobs_of(const Uuid &, const Uuid &, int, Reply<std::vector<Job>> &) override {}
  std::vector<std::string> staged;
  std::vector<Uuid> ids;
  int portions = 0;
  int unstaged = 0;
  List<Reply<Done>> waiting;
  List<Reply<Submitted>> submitted;
};

struct FakePayloads : Payloads {
  void put(const Uuid &, int, std::int64_t, std::string_view, Reply<Done> &) override {}
  void get(const Uuid &, int, std::int64_t, Reply<Chunk> &) override {}
  void drop(const Uuid &id) override { dropped.push_back(id); }
  std::vector<Uuid> dropped;
};

struct FakeIds : IdSource {
  Uuid new_id(unsigned retention, std::int64_t least_ms) override {
    std::array<std::uint8_t, 10> random{};
    for (auto &byte : random)
      byte = static_cast<std::uint8_t>(state = state * 1103515245 + 12345, state >> 16);
    return Uuid::v7(std::max(now_ms, least_ms), retention, random);
  }
  std::int64_t now_ms = 1'700'000'000'000;
  unsigned state = 1;
};

struct BatchIntakeTest : testing::Test {
  void progressed(Result<Done> outcome) { outcome ? ++progress : ++errors; }
  void submitted(Result<Submitted> outcome) { ++outcomes, last_outcome = std::move(outcome); }
  static NewJob job(int n, std::size_t size) {
    NewJob out;
    out.content_type = std::to_string(n);
    out.payload = std::string(size, 'x');
    return out;
  }
  void SetUp() override {
    batches.staged.clear();
    intake =
        std::make_unique<BatchIntake>(batches, payloads, ids, Uuid::v7(1, 2, {}).as_v8(),
                                      Callback<Result<Done>>::to<&BatchIntakeTest::progressed>(this),
                                      Callback<Result<Submitted>>::to<&BatchIntakeTest::submitted>(this));
  }
  FakeBatches batches;
  FakePayloads payloads;
  FakeIds ids;
  int progress = 0;
  int errors = 0;
  int outcomes = 0;
  std::optional<Result<Submitted>> last_outcome;
  std::unique_ptr<BatchIntake> intake;
};

TEST_F(BatchIntakeTest, nothing_is_staged_before_there_is_a_portion) {
  intake->add(job(1, 1000));
  EXPECT_EQ(batches.portions, 0);
  EXPECT_FALSE(intake->full());
  intake.reset();
  EXPECT_EQ(batches.unstaged, 0) << "nothing to forget";
}

TEST_F(BatchIntakeTest, portions_go_at_the_pace_of_the_store_and_in_order) {
  int n = 0;
  while (!intake->full() && n < 100)
    intake->add(job(++n, 10'000));
  EXPECT_EQ(batches.portions, 1);
  EXPECT_LT(intake->held(), 3 * BatchIntake::kPortion);
  batches.waiting.front()->deliver(Done{});
  EXPECT_EQ(progress, 1) << "there is room again";
  EXPECT_EQ(batches.portions, 2) << "what was added meanwhile went at once";
  intake->add(job(++n, 5));
  EXPECT_FALSE(intake->finish());
  batches.waiting.front()->deliver(Done{});
  EXPECT_EQ(batches.portions, 3) << "the rest, although it is small";
  EXPECT_EQ(progress, 1);
  EXPECT_FALSE(intake->finished());
  batches.waiting.front()->deliver(Done{});
  EXPECT_EQ(progress, 2);
  EXPECT_TRUE(intake->finished());
  EXPECT_EQ(intake->jobs(), n);
  ASSERT_EQ(static_cast<int>(batches.staged.size()), n);
  for (int i = 0; i < n; ++i)
    EXPECT_EQ(batches.staged[static_cast<std::size_t>(i)], std::to_string(i + 1));
  intake->submit(NewBatch());
  intake.reset();
  EXPECT_EQ(batches.unstaged, 0) << "it is submitted";
}

TEST_F(BatchIntakeTest, ids_are_in_the_order_of_the_jobs) {
  for (int n = 0; n < 2000; ++n) {
    NewJob one = job(n, 100);
    if (n % 500 == 499)
      one.id = intake->next_id();
    intake->add(std::move(one));
    if (intake->full())
      batches.waiting.front()->deliver(Done{});
  }
  intake->finish();
  while (!batches.waiting.empty())
    batches.waiting.front()->deliver(Done{});
  ASSERT_EQ(batches.ids.size(), 2000U);
  for (std::size_t i = 0; i < batches.ids.size(); ++i) {
    EXPECT_EQ(batches.ids[i].retention(), 2U);
    EXPECT_TRUE(i == 0 || batches.ids[i - 1] < batches.ids[i]) << i;
  }
  EXPECT_LT(batches.ids.back().unix_ms() - ids.now_ms, 200) << "not far ahead of the clock";
}

TEST_F(BatchIntakeTest, small_jobs_count_with_what_they_take) {
  for (int n = 0; n < 10'000 && !intake->full(); ++n)
    intake->add(job(n, 0));
  EXPECT_TRUE(intake->full());
  EXPECT_LT(intake->jobs(), 1000);
}

TEST_F(BatchIntakeTest, what_is_not_submitted_is_removed) {
  NewJob large;
  large.content_type = "x";
  intake->add(std::move(large));  // without a payload: in chunks
  intake->finish();
  batches.waiting.front()->deliver(Done{});
  intake.reset();
  EXPECT_EQ(batches.unstaged, 1);
  EXPECT_EQ(payloads.dropped.size(), 1U);
}

TEST_F(BatchIntakeTest, what_the_outcome_says_that_the_batch_has_is_not_removed) {
  const Result<Submitted> stored = Submitted{intake->id(), 1}, replayed = Submitted{Uuid::v7(9, 2, {}), 1};
  const Result<Submitted> lost = Error{Code::unavailable, "lost"}, refused = Error{Code::invalid, "bad"};
  const std::vector<std::pair<const Result<Submitted> *, int>> cases = {
      {&stored, 0}, {&replayed, 1}, {&lost, 0}, {&refused, 1}};
  for (const auto &[outcome, removed] : cases) {
    SetUp();
    batches.unstaged = 0;
    payloads.dropped.clear();
    NewJob large;
    large.content_type = "x";
    large.id = intake->next_id();
    intake->add(std::move(large));
    intake->finish();
    batches.waiting.front()->deliver(Done{});
    intake->submit(NewBatch());
    outcomes = 0;
    batches.submitted.front()->deliver(*outcome);
    EXPECT_EQ(outcomes, 1);
    EXPECT_EQ(static_cast<bool>(*last_outcome), static_cast<bool>(*outcome));
    intake.reset();
    EXPECT_EQ(batches.unstaged, removed);
    EXPECT_EQ(static_cast<int>(payloads.dropped.size()), removed);
  }
}

TEST_F(BatchIntakeTest, the_ids_of_a_portion_are_behind_the_last_although_the_clock_goes_back) {
  for (int n = 0; n < 10; ++n) {
    intake->add(job(n, 100'000));
    ids.now_ms -= 1000;
    while (!batches.waiting.empty())
      batches.waiting.front()->deliver(Done{});
  }
  intake->finish();
  EXPECT_EQ(batches.ids.size(), 10U);
  EXPECT_TRUE(std::is_sorted(batches.ids.begin(), batches.ids.end()));
}

TEST_F(BatchIntakeTest, an_error_is_reported_once) {
  for (int n = 0; !intake->full() && n < 20; ++n)
    intake->add(job(n, 50'000));
  batches.waiting.front()->deliver(Error{Code::unavailable, "gone"});
  EXPECT_EQ(errors, 1);
  EXPECT_EQ(batches.portions, 1);
  intake.reset();
  EXPECT_EQ(batches.unstaged, 1);
}

}  // namespace
}  // namespace await::core
