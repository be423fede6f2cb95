// What every core::Batches must do, and lists of batches. Runs on PostgreSQL (AWAIT_POSTGRES), and on the
// store of the simulation.

#include <gtest/gtest.h>
#include <jansson.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "contract/backend.h"

namespace await::contract {
namespace {

using core::Added;
using core::State;

template <class T>
struct Awaited {
  void got(Result<T> value) { outcome = std::move(value); }
  std::optional<Result<T>> outcome;
  core::Reply<T> reply = core::Reply<T>::template to<&Awaited::got>(this);
};

using Make = std::unique_ptr<Backend> (*)();

/// "total/open/completed/cancelled" of totals, or of a phase in them.
std::string counts(const std::string &totals, const char *phase = nullptr) {
  std::unique_ptr<json_t, void (*)(json_t *)> all(json_loads(totals.c_str(), 0, nullptr), json_decref);
  json_t *of = all.get();
  if (phase != nullptr)
    of = json_object_get(json_object_get(of, "phases"), phase);
  std::string out;
  for (const char *name : {"total", "open", "completed", "cancelled"})
    out += (out.empty() ? "" : "/") + std::to_string(json_integer_value(json_object_get(of, name)));
  return out;
}

class BatchesContract : public testing::TestWithParam<Make> {
 protected:
  template <class T, class Call>
  Result<T> call(Call start) {
    Awaited<T> awaited;
    start(awaited.reply);
    EXPECT_FALSE(awaited.outcome) << "never within the call";
    if (!backend->run_until([&] { return awaited.outcome.has_value(); }))
      return Error{Code::timeout, "no reply"};
    return std::move(*awaited.outcome);
  }
  core::Batches &batches() { return backend->batches(); }

  /// A batch with an id and an owner that no other has.
  core::NewBatch new_batch(std::vector<std::string> phases = {}) {
    core::NewJob like = backend->new_job();
    core::NewBatch batch;
    batch.id = like.id.as_v8();
    batch.owner = like.owner;
    batch.scope = ".batch:q";
    batch.phases = std::move(phases);
    return batch;
  }
  /// Jobs of its owner, each in a queue of its own where queues matter, in the order of their ids.
  std::vector<core::NewJob> jobs_for(const core::NewBatch &batch, int n) {
    std::vector<core::NewJob> all;
    for (int i = 0; i < n; ++i) {
      core::NewJob job = backend->new_job();
      while (!backend->can_own(*batch.owner, job))
        job = backend->new_job();
      job.owner = batch.owner;
      if (!batch.phases.empty())
        job.phase = batch.phases.front();
      all.push_back(std::move(job));
    }
    std::sort(all.begin(), all.end(), [](auto &one, auto &other) { return one.id < other.id; });
    return all;
  }
  Result<Done> stage(const core::NewBatch &batch, int first, const std::vector<core::NewJob> &jobs) {
    return call<Done>([&](auto &reply) { batches().stage(batch.id, first, jobs, reply); });
  }
  Result<core::Submitted> submit(core::NewBatch &batch, int jobs) {
    batch.jobs = jobs;
    return call<core::Submitted>([&](auto &reply) { batches().submit(batch, reply); });
  }
  std::vector<core::NewJob> submitted(core::NewBatch &batch, int n) {
    auto jobs = jobs_for(batch, n);
    EXPECT_TRUE(stage(batch, 1, jobs));
    EXPECT_TRUE(submit(batch, n));
    return jobs;
  }
  Added add(const core::NewBatch &batch, const core::NewJob &job) {
    auto outcome = call<Added>([&](auto &reply) { batches().add(batch.id, job, reply); });
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().detail);
    return *outcome;
  }
  std::optional<core::Batch> read(const core::NewBatch &batch) {
    auto found = call<std::optional<core::Batch>>([&](auto &reply) { batches().batch(batch.id, reply); });
    EXPECT_TRUE(found) << (found ? "" : found.error().detail);
    return *found;
  }
  std::vector<core::Job> page(const core::NewBatch &batch, const Uuid &after, int limit) {
    auto jobs =
        call<std::vector<core::Job>>([&](auto &reply) { batches().jobs_of(batch.id, after, limit, reply); });
    EXPECT_TRUE(jobs);
    return std::move(*jobs);
  }
  core::EventPage events(const core::NewBatch &batch) {
    std::vector<core::EventQuery> queries = {{batch.id, 1}};
    auto pages =
        call<std::vector<core::EventPage>>([&](auto &reply) { backend->store().events(queries, reply); });
    EXPECT_TRUE(pages && pages->size() == 1);
    return std::move((*pages)[0]);
  }
  core::Cancelled cancel(const Uuid &id) {
    auto outcome =
        call<core::Cancelled>([&](auto &reply) { backend->store().cancel(id, std::nullopt, reply); });
    EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().detail);
    return *outcome;
  }
  template <class Page>
  Page list(const core::ListQuery &query) {
    std::vector<core::ListQuery> queries = {query};
    auto pages = call<std::vector<Page>>([&](auto &reply) { backend->store().lists(queries, reply); });
    EXPECT_TRUE(pages && pages->size() == 1) << (pages ? "" : pages.error().detail);
    return std::move((*pages)[0]);
  }
  template <class Page>
  static std::vector<Uuid> ids_of(const Page &page) {
    std::vector<Uuid> out;
    for (const auto &entry : page.entries)
      out.push_back(entry.id);
    return out;
  }
  void complete(const core::NewJob &job) {
    auto worker = backend->begin();
    worker->claim(job);
    worker->complete(job);
    worker->commit();
  }

  std::unique_ptr<Backend> backend = GetParam()();
};

INSTANTIATE_TEST_SUITE_P(Stores, BatchesContract, testing::Values(make_postgresql, make_simulated),
                         [](const auto &info) { return info.index == 0 ? "PostgreSQL" : "Simulation"; });

TEST_P(BatchesContract, jobs_are_there_with_their_batch_not_before) {
  core::NewBatch batch = new_batch();
  auto jobs = jobs_for(batch, 5);
  ASSERT_TRUE(stage(batch, 1, {jobs[0], jobs[1]}));
  ASSERT_TRUE(stage(batch, 3, {jobs[2], jobs[3], jobs[4]}));
  ASSERT_TRUE(stage(batch, 3, {jobs[2], jobs[3], jobs[4]})) << "sent again after a lost connection";
  EXPECT_FALSE(read(batch));
  EXPECT_TRUE(page(batch, Uuid(), 10).empty());
  auto outcome = submit(batch, 5);
  ASSERT_TRUE(outcome) << outcome.error().detail;
  EXPECT_EQ(outcome->id, batch.id);
  EXPECT_FALSE(outcome->clash);
  auto found = read(batch);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, batch.id);
  EXPECT_EQ(found->owner, batch.owner);
  EXPECT_EQ(found->state, State::pending);
  EXPECT_EQ(found->seq, 1);
  EXPECT_EQ(found->created_at, outcome->created_at);
  EXPECT_FALSE(found->phases);
  EXPECT_EQ(counts(found->totals), "5/5/0/0");
  auto again = submit(batch, 5);
  ASSERT_TRUE(again) << "a repeated call changes nothing";
  EXPECT_EQ(again->created_at, outcome->created_at);
  EXPECT_EQ(counts(read(batch)->totals), "5/5/0/0");
}

TEST_P(BatchesContract, the_jobs_of_a_batch_are_read_in_the_order_of_their_ids) {
  core::NewBatch batch = new_batch(), other = new_batch();
  auto jobs = submitted(batch, 4);
  submitted(other, 1);
  auto first = page(batch, Uuid(), 3);
  ASSERT_EQ(first.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(first[i].id, jobs[i].id);
  EXPECT_EQ(first[0].batch, batch.id.text());
  EXPECT_EQ(first[0].owner, batch.owner);
  EXPECT_EQ(first[0].state, State::pending);
  auto rest = page(batch, first[2].id, 3);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].id, jobs[3].id);
  EXPECT_TRUE(page(new_batch(), Uuid(), 3).empty()) << "unknown";
}

TEST_P(BatchesContract, all_jobs_are_stored_or_none) {
  core::NewBatch missing = new_batch();
  auto jobs = jobs_for(missing, 2);
  ASSERT_TRUE(stage(missing, 1, jobs));
  auto outcome = submit(missing, 3);
  ASSERT_FALSE(outcome) << "one is missing";
  EXPECT_FALSE(read(missing));

  core::NewBatch bad = new_batch();
  jobs = jobs_for(bad, 3);
  backend->make_invalid(jobs[1]);
  ASSERT_TRUE(stage(bad, 1, jobs));
  outcome = submit(bad, 3);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::invalid);
  EXPECT_FALSE(read(bad));
  EXPECT_TRUE(page(bad, Uuid(), 10).empty());

  core::NewBatch phased = new_batch({"a", "b"});
  jobs = jobs_for(phased, 2);
  jobs[1].phase = "c";
  ASSERT_TRUE(stage(phased, 1, jobs));
  outcome = submit(phased, 2);
  ASSERT_FALSE(outcome) << "it has no such phase";
  EXPECT_EQ(outcome.error().code, Code::invalid);
  EXPECT_FALSE(read(phased));
}

TEST_P(BatchesContract, what_was_forgotten_cannot_be_submitted) {
  core::NewBatch batch = new_batch();
  ASSERT_TRUE(stage(batch, 1, jobs_for(batch, 2)));
  batches().unstage(batch.id);
  EXPECT_FALSE(submit(batch, 2));
  EXPECT_FALSE(read(batch));
}

TEST_P(BatchesContract, a_batch_is_ready_once_all_its_jobs_have_ended) {
  core::NewBatch batch = new_batch();
  auto jobs = submitted(batch, 3);
  complete(jobs[1]);
  EXPECT_EQ(counts(read(batch)->totals), "3/2/1/0");
  EXPECT_EQ(cancel(jobs[0].id), core::Cancelled::now);
  EXPECT_EQ(counts(read(batch)->totals), "3/1/1/1");
  EXPECT_FALSE(core::is_ending(read(batch)->state));
  auto worker = backend->begin();
  worker->claim(jobs[2]);
  worker->complete(jobs[2]);
  EXPECT_FALSE(core::is_ending(read(batch)->state)) << "the last ending is not committed";
  worker.reset();
  EXPECT_EQ(counts(read(batch)->totals), "3/1/1/1") << "it was rolled back";
  complete(jobs[2]);
  auto found = read(batch);
  EXPECT_EQ(found->state, State::completed);
  EXPECT_EQ(counts(found->totals), "3/0/2/1");
  core::EventPage all = events(batch);
  EXPECT_EQ(all.state, State::completed);
  ASSERT_FALSE(all.events.empty());
  EXPECT_EQ(all.events.back().type, "batch.ready");
  EXPECT_EQ(all.events.back().seq, found->seq);
  EXPECT_EQ(std::count_if(all.events.begin(), all.events.end(),
                          [](auto &event) { return event.type == "batch.ready"; }),
            1);
  EXPECT_EQ(cancel(batch.id), core::Cancelled::ended);
}

TEST_P(BatchesContract, a_ready_batch_has_its_job_once) {
  core::NewBatch batch = new_batch();
  batch.on_ready = "mail." + batch.id.text();
  auto jobs = submitted(batch, 2);
  core::ListQuery mails;
  mails.owner = batch.owner;
  mails.queue = batch.on_ready;
  complete(jobs[0]);
  EXPECT_TRUE(list<core::JobPage>(mails).entries.empty());
  complete(jobs[1]);
  core::JobPage made = list<core::JobPage>(mails);
  ASSERT_EQ(made.entries.size(), 1U);
  ASSERT_TRUE(made.entries[0].params);
  EXPECT_NE(made.entries[0].params->find(batch.id.text()), std::string::npos);
  EXPECT_FALSE(made.entries[0].batch) << "it is not a job of the batch";
}

TEST_P(BatchesContract, every_phase_has_its_jobs_before_a_batch_is_ready) {
  core::NewBatch batch = new_batch({"a", "b"});
  auto jobs = submitted(batch, 2);
  complete(jobs[0]);
  complete(jobs[1]);
  auto found = read(batch);
  EXPECT_FALSE(core::is_ending(found->state)) << "the phase b has had no job";
  EXPECT_EQ(counts(found->totals, "a"), "2/0/2/0");
  EXPECT_EQ(counts(found->totals, "b"), "0/0/0/0");
  auto more = jobs_for(batch, 1);
  more[0].phase = "b";
  EXPECT_EQ(add(batch, more[0]).outcome, Added::Outcome::added);
  EXPECT_EQ(counts(read(batch)->totals, "b"), "1/1/0/0");
  EXPECT_EQ(page(batch, jobs[1].id, 10).at(0).phase, "b");
  complete(more[0]);
  EXPECT_EQ(read(batch)->state, State::completed);
}

TEST_P(BatchesContract, no_next_phase_is_waited_for_if_no_job_was_completed) {
  core::NewBatch batch = new_batch({"a", "b"});
  auto jobs = submitted(batch, 1);
  EXPECT_EQ(cancel(jobs[0].id), core::Cancelled::now);
  EXPECT_EQ(read(batch)->state, State::completed);
}

TEST_P(BatchesContract, a_job_is_added_to_an_open_batch_of_its_owner) {
  core::NewBatch batch = new_batch(), unknown = new_batch();
  auto jobs = submitted(batch, 1);
  auto more = jobs_for(batch, 5);
  Added added = add(batch, more[0]);
  EXPECT_EQ(added.outcome, Added::Outcome::added);
  EXPECT_EQ(added.job.id, more[0].id);
  EXPECT_EQ(counts(read(batch)->totals), "2/2/0/0");
  EXPECT_EQ(add(unknown, more[1]).outcome, Added::Outcome::no_batch);
  more[1].owner = "somebody else";
  EXPECT_EQ(add(batch, more[1]).outcome, Added::Outcome::no_batch);
  more[1].owner.reset();
  EXPECT_EQ(add(batch, more[1]).outcome, Added::Outcome::added) << "without an owner: any may";
  more[2].phase = "a";
  EXPECT_EQ(add(batch, more[2]).outcome, Added::Outcome::no_phase);
  core::NewBatch phased = new_batch({"a"});
  submitted(phased, 1);
  core::NewJob without = jobs_for(phased, 1)[0];
  without.phase.reset();
  EXPECT_EQ(add(phased, without).outcome, Added::Outcome::no_phase);
  complete(jobs[0]);
  complete(more[0]);
  complete(more[1]);
  EXPECT_EQ(read(batch)->state, State::completed);
  EXPECT_EQ(add(batch, more[3]).outcome, Added::Outcome::ended);
  EXPECT_EQ(counts(read(batch)->totals), "3/0/3/0") << "nothing was stored of what was refused";
}

TEST_P(BatchesContract, a_key_returns_the_first_job_that_was_added) {
  core::NewBatch batch = new_batch();
  submitted(batch, 1);
  auto jobs = jobs_for(batch, 3);
  for (auto &job : jobs)
    job.queue = jobs[0].queue, job.idempotency = core::IdempotencyKey{"a key", "p", 60'000};
  jobs[2].idempotency->fingerprint = "q";
  EXPECT_EQ(add(batch, jobs[0]).job.id, jobs[0].id);
  Added twin = add(batch, jobs[1]), other = add(batch, jobs[2]);
  EXPECT_EQ(twin.outcome, Added::Outcome::added);
  EXPECT_EQ(twin.job.id, jobs[0].id);
  EXPECT_FALSE(twin.job.clash);
  EXPECT_TRUE(other.job.clash);
  EXPECT_EQ(counts(read(batch)->totals), "2/2/0/0");
}

TEST_P(BatchesContract, a_key_returns_the_first_batch_and_leaves_nothing_of_the_second) {
  core::NewBatch first = new_batch();
  first.idempotency = core::IdempotencyKey{"key of " + first.id.text(), "p", 60'000};
  submitted(first, 2);
  auto again = [&](const char *fingerprint) {
    core::NewBatch twin = first;
    twin.id = jobs_for(first, 1)[0].id.as_v8();
    twin.idempotency->fingerprint = fingerprint;
    EXPECT_TRUE(stage(twin, 1, jobs_for(twin, 2)));
    auto outcome = submit(twin, 2);
    EXPECT_TRUE(outcome && outcome->id == first.id) << "the answer is the first";
    EXPECT_FALSE(read(twin));
    twin.idempotency.reset();
    EXPECT_FALSE(submit(twin, 2)) << "what was staged is gone";
    return outcome ? outcome->clash : false;
  };
  EXPECT_FALSE(again("p"));
  EXPECT_TRUE(again("q")) << "another request";
}

TEST_P(BatchesContract, with_a_batch_its_jobs_are_cancelled) {
  core::NewBatch batch = new_batch();
  auto jobs = submitted(batch, 3);
  complete(jobs[0]);
  EXPECT_EQ(cancel(batch.id), core::Cancelled::now);
  EXPECT_EQ(cancel(batch.id), core::Cancelled::already);
  EXPECT_EQ(cancel(new_batch().id), core::Cancelled::unknown);
  auto found = read(batch);
  EXPECT_EQ(found->state, State::cancelled);
  EXPECT_EQ(counts(found->totals), "3/0/1/2");
  EXPECT_EQ(page(batch, Uuid(), 3).at(2).state, State::cancelled);
  EXPECT_EQ(events(batch).events.back().type, "cancelled") << "and never ready";
  EXPECT_EQ(add(batch, jobs_for(batch, 1)[0]).outcome, Added::Outcome::ended);
}

TEST_P(BatchesContract, a_list_has_an_owners_batches_newest_first_page_by_page) {
  std::vector<core::NewBatch> all = {new_batch()};
  auto jobs = submitted(all[0], 1);
  while (all.size() < 3) {
    core::NewBatch next = all[0];
    next.id = jobs_for(all[0], 1)[0].id.as_v8();
    submitted(next, 1);
    all.push_back(next);
  }
  core::ListQuery query;
  query.of_batches = true;
  query.owner = all[0].owner;
  query.limit = 2;
  core::BatchPage first = list<core::BatchPage>(query);
  EXPECT_EQ(ids_of(first), (std::vector{all[2].id, all[1].id}));
  EXPECT_EQ(first.entries[0].state, State::pending);
  ASSERT_TRUE(first.next);
  query.after = first.next;
  core::BatchPage second = list<core::BatchPage>(query);
  EXPECT_EQ(ids_of(second), std::vector{all[0].id});
  EXPECT_FALSE(second.next);
  complete(jobs[0]);
  query.after.reset();
  query.states = "completed";
  EXPECT_EQ(ids_of(list<core::BatchPage>(query)), std::vector{all[0].id});
  query.states = "failed,cancelled";
  EXPECT_TRUE(list<core::BatchPage>(query).entries.empty());
}

TEST_P(BatchesContract, a_list_of_jobs_has_those_of_a_batch_and_never_a_batch) {
  core::NewBatch batch = new_batch();
  auto jobs = submitted(batch, 3);
  core::ListQuery query;
  query.owner = batch.owner;
  query.batch = batch.id;
  query.limit = 2;
  core::JobPage first = list<core::JobPage>(query);
  EXPECT_EQ(ids_of(first), (std::vector{jobs[2].id, jobs[1].id}));
  ASSERT_TRUE(first.next);
  query.after = first.next;
  EXPECT_EQ(ids_of(list<core::JobPage>(query)), std::vector{jobs[0].id});
  query.batch.reset();
  query.after.reset();
  query.limit = 200;
  auto all = ids_of(list<core::JobPage>(query));
  EXPECT_EQ(std::count(all.begin(), all.end(), batch.id), 0);
  EXPECT_GE(all.size(), 3U);
}

TEST_P(BatchesContract, a_batch_is_found_where_its_channel_has_changed) {
  core::NewBatch batch = new_batch();
  auto jobs = submitted(batch, 2);
  std::vector<Uuid> ids = {batch.id};
  auto before = call<core::Tail>([&](auto &reply) { backend->store().heads(ids, reply); });
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->changes.empty());
  complete(jobs[0]);
  complete(jobs[1]);
  auto after = call<core::Tail>([&](auto &reply) { backend->store().tail(before->snapshot, reply); });
  ASSERT_TRUE(after);
  int seq = read(batch)->seq;
  EXPECT_TRUE(std::any_of(after->changes.begin(), after->changes.end(),
                          [&](auto &one) { return one.first == batch.id && one.second == seq; }));
}

}  // namespace
}  // namespace await::contract
