// What every core::Store and core::AccessStore must do. Runs on PostgreSQL (AWAIT_POSTGRES), and on the store
// of the simulation, whose results rest on its behaving like PostgreSQL.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "contract/backend.h"

namespace await::contract {
namespace {

template <class T>
struct Awaited {
  void got(Result<T> value) { outcome = std::move(value); }
  std::optional<Result<T>> outcome;
  core::Reply<T> reply = core::Reply<T>::template to<&Awaited::got>(this);
};

using Make = std::unique_ptr<Backend> (*)();

class StoreContract : public testing::TestWithParam<Make> {
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
  Result<std::vector<core::Submitted>> submit(const std::vector<core::NewJob> &jobs) {
    std::vector<const core::NewJob *> pointers;
    for (const core::NewJob &job : jobs)
      pointers.push_back(&job);
    return call<std::vector<core::Submitted>>([&](auto &reply) { backend->store().submit(pointers, reply); });
  }
  core::NewJob submitted_job() {
    core::NewJob job = backend->new_job();
    EXPECT_TRUE(submit({job}));
    return job;
  }
  std::vector<core::Job> jobs(const std::vector<core::NewJob> &all) {
    std::vector<core::JobQuery> queries;
    for (const core::NewJob &job : all)
      queries.push_back({job.id, core::ResultDetail::none});
    auto rows = call<std::vector<core::Job>>([&](auto &reply) { backend->store().jobs(queries, reply); });
    EXPECT_TRUE(rows) << rows.error().detail;
    return std::move(*rows);
  }
  std::vector<core::EventPage> events(const std::vector<core::EventQuery> &queries) {
    auto pages =
        call<std::vector<core::EventPage>>([&](auto &reply) { backend->store().events(queries, reply); });
    EXPECT_TRUE(pages && pages->size() == queries.size()) << (pages ? "" : pages.error().detail);
    return std::move(*pages);
  }
  core::EventPage user_page(const core::NewJob &job, const core::SnapshotCursor &since) {
    return std::move(events({backend->user_query(job, since)})[0]);
  }
  /// A cursor at the current end of the channel of the owner.
  core::SnapshotCursor user_cursor(const core::NewJob &job) {
    return {"", user_page(job, {}).merged->until, {}, 0};
  }
  core::Tail heads(const std::vector<core::NewJob> &all) {
    std::vector<Uuid> ids;
    for (const core::NewJob &job : all)
      ids.push_back(job.id);
    return *call<core::Tail>([&](auto &reply) { backend->store().heads(ids, reply); });
  }
  core::Tail tail(const std::string &snapshot) {
    return *call<core::Tail>([&](auto &reply) { backend->store().tail(snapshot, reply); });
  }
  static std::optional<int> change_of(const core::NewJob &job, const core::Tail &tail) {
    for (auto &[id, seq] : tail.changes) {
      if (id == job.id)
        return seq;
    }
    return std::nullopt;
  }
  core::JobPage list(const core::ListQuery &query) {
    std::vector<core::ListQuery> queries = {query};
    auto pages =
        call<std::vector<core::JobPage>>([&](auto &reply) { backend->store().lists(queries, reply); });
    EXPECT_TRUE(pages && pages->size() == 1) << (pages ? "" : pages.error().detail);
    return std::move((*pages)[0]);
  }
  /// Three jobs of one owner, the oldest first.
  std::vector<core::NewJob> three_jobs() {
    std::vector<core::NewJob> all = {submitted_job()};
    while (all.size() < 3) {
      all.push_back(backend->new_job_like(all[0]));
      EXPECT_TRUE(submit({all.back()}));
    }
    return all;
  }
  static std::vector<Uuid> ids_of(const core::JobPage &page) {
    std::vector<Uuid> out;
    for (const core::Job &job : page.entries)
      out.push_back(job.id);
    return out;
  }
  static core::ListQuery list_of(const core::NewJob &job, int limit) {
    core::ListQuery query;
    query.owner = job.owner;
    query.limit = limit;
    return query;
  }
  std::vector<bool> use(const std::vector<core::TicketUse> &tickets) {
    return *call<std::vector<bool>>([&](auto &reply) { backend->access().use(tickets, reply); });
  }
  core::TicketUse new_ticket(const std::string &owner) {
    return {backend->new_job().id, owner, backend->now_ms(), backend->now_ms() + 30'000};
  }

  std::unique_ptr<Backend> backend = GetParam()();
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::Values(make_postgresql, make_simulated),
                         [](const auto &info) { return info.index == 0 ? "PostgreSQL" : "Simulation"; });

TEST_P(StoreContract, a_submitted_job_is_pending_with_event_1) {
  core::NewJob job = submitted_job();
  auto found = jobs({job, backend->new_job()});
  ASSERT_EQ(found.size(), 1U) << "unknown jobs are left out";
  EXPECT_EQ(found[0].id, job.id);
  EXPECT_EQ(found[0].state, core::State::pending);
  EXPECT_EQ(found[0].seq, 1);
}

TEST_P(StoreContract, an_id_stored_before_counts_as_stored) {
  core::NewJob job = backend->new_job();
  auto first = submit({job});
  auto second = submit({backend->new_job(), job});
  ASSERT_TRUE(first && second && second->size() == 2);
  EXPECT_EQ((*second)[1].id, job.id);
  EXPECT_EQ((*second)[1].created_at, (*first)[0].created_at);
}

TEST_P(StoreContract, a_batch_with_an_invalid_job_stores_none) {
  core::NewJob good = backend->new_job(), bad = backend->new_job();
  backend->make_invalid(bad);
  auto outcome = submit({good, bad});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::invalid);
  EXPECT_TRUE(jobs({good, bad}).empty());
}

TEST_P(StoreContract, a_destroyed_reply_is_not_called_and_the_call_goes_on) {
  core::NewJob job = backend->new_job();
  {
    Awaited<std::vector<core::Submitted>> gone;
    const core::NewJob *pointer = &job;
    backend->store().submit({&pointer, 1}, gone.reply);
  }
  EXPECT_TRUE(submit({backend->new_job()}));
  EXPECT_EQ(jobs({job}).size(), 1U);
}

TEST_P(StoreContract, events_are_visible_after_the_commit_only) {
  core::NewJob job = submitted_job();
  auto worker = backend->begin();
  worker->claim(job);
  worker->emit(job);
  EXPECT_EQ(jobs({job})[0].seq, 1);
  EXPECT_EQ(events({{job.id, 0}})[0].last_seq, 1);
  worker->commit();
  EXPECT_EQ(jobs({job})[0].seq, 3);
  core::EventPage page = std::move(events({{job.id, 0}})[0]);
  ASSERT_EQ(page.events.size(), 2U) << "event 1 is the row of the job";
  EXPECT_EQ(page.events[0].seq, 2);
  EXPECT_EQ(page.events[0].type, "processing");
  EXPECT_EQ(page.events[1].seq, 3);
}

TEST_P(StoreContract, a_rollback_gives_its_numbers_out_again) {
  core::NewJob job = submitted_job();
  auto worker = backend->begin();
  worker->claim(job);
  worker.reset();
  EXPECT_EQ(jobs({job})[0].seq, 1);
  worker = backend->begin();
  worker->claim(job);
  worker->complete(job);
  worker->commit();
  EXPECT_EQ(jobs({job})[0].seq, 3);
  EXPECT_EQ(jobs({job})[0].state, core::State::completed);
  EXPECT_EQ(events({{job.id, 2}})[0].state, core::State::completed);
}

TEST_P(StoreContract, events_are_read_in_pages) {
  core::NewJob job = submitted_job();
  auto worker = backend->begin();
  worker->claim(job);
  int size = static_cast<int>(backend->page_size());
  for (int i = 0; i < size + 10; ++i)
    worker->emit(job);
  worker->commit();
  auto pages = events({{job.id, 1}, {backend->new_job().id, 0}, {job.id, size}, {job.id, size + 12}});
  ASSERT_EQ(pages[0].events.size(), backend->page_size());
  EXPECT_EQ(pages[0].events.front().seq, 2);
  EXPECT_EQ(pages[0].events.back().seq, size + 1);
  EXPECT_EQ(pages[0].last_seq, size + 12);
  EXPECT_EQ(pages[1].last_seq, 0) << "unknown";
  EXPECT_EQ(pages[2].events.size(), 12U);
  EXPECT_TRUE(pages[3].events.empty()) << "nothing after the last one";
}

TEST_P(StoreContract, heads_leave_out_jobs_with_event_1_only) {
  core::NewJob fresh = submitted_job(), claimed = submitted_job();
  auto worker = backend->begin();
  worker->claim(claimed);
  worker->commit();
  core::Tail found = heads({fresh, claimed, backend->new_job()});
  EXPECT_EQ(found.changes.size(), 1U);
  EXPECT_EQ(change_of(claimed, found), 2);
}

TEST_P(StoreContract, a_tail_reports_each_change_once_also_of_a_late_commit) {
  core::NewJob early = submitted_job(), late = submitted_job();
  auto slow = backend->begin(), quick = backend->begin();
  slow->claim(late);
  quick->claim(early);
  std::string before = heads({early}).snapshot;
  quick->commit();
  core::Tail first = tail(before);
  EXPECT_EQ(change_of(early, first), 2);
  EXPECT_FALSE(change_of(late, first)) << "not committed";
  slow->commit();
  core::Tail second = tail(first.snapshot);
  EXPECT_FALSE(change_of(early, second)) << "reported before";
  EXPECT_EQ(change_of(late, second), 2) << "although it began before the last snapshot";
  EXPECT_FALSE(change_of(late, tail(second.snapshot)));
}

TEST_P(StoreContract, a_users_channel_has_each_event_once_also_of_a_late_commit) {
  core::NewJob job = backend->new_job();
  core::SnapshotCursor start = user_cursor(job);
  EXPECT_FALSE(start.seen.text.empty());
  ASSERT_TRUE(submit({job}));
  auto slow = backend->begin();
  slow->claim(job);
  core::EventPage page = user_page(job, start);
  ASSERT_EQ(page.events.size(), 1U);
  EXPECT_EQ(page.events[0].type, "pending");
  EXPECT_EQ(page.events[0].origin->job, job.id);
  EXPECT_TRUE(page.merged->complete);
  submitted_job();  // another transaction, which begins and ends meanwhile
  core::SnapshotCursor next = {"", page.merged->until, {}, 0};
  EXPECT_TRUE(user_page(job, next).events.empty()) << "not committed";
  slow->commit();
  page = user_page(job, next);
  ASSERT_EQ(page.events.size(), 1U);
  EXPECT_EQ(page.events[0].seq, 2);
  next.seen = page.merged->until;
  EXPECT_TRUE(user_page(job, next).events.empty());
}

TEST_P(StoreContract, a_long_range_of_a_users_channel_is_read_in_pages_up_to_one_snapshot) {
  core::NewJob job = submitted_job();
  core::SnapshotCursor since = user_cursor(job);
  auto worker = backend->begin();
  worker->claim(job);
  for (std::size_t i = 0; i < backend->user_page_size() + 1; ++i)
    worker->emit(job);
  worker->commit();
  core::EventPage page = user_page(job, since);
  ASSERT_EQ(page.events.size(), backend->user_page_size());
  EXPECT_FALSE(page.merged->complete);
  since.reading = page.merged->until;
  since.eid = page.events.back().origin->eid;
  worker = backend->begin();
  worker->emit(job);
  worker->commit();
  page = user_page(job, since);
  EXPECT_EQ(page.events.size(), 2U) << "without the event after the snapshot";
  EXPECT_TRUE(page.merged->complete);
  EXPECT_EQ(page.merged->until.text, since.reading.text);
  page = user_page(job, {"", page.merged->until, {}, 0});
  EXPECT_EQ(page.events.size(), 1U);
}

TEST_P(StoreContract, a_list_has_an_owners_jobs_newest_first_page_by_page) {
  auto all = three_jobs();
  core::ListQuery query = list_of(all[0], 2);
  core::JobPage page = list(query);
  EXPECT_EQ(ids_of(page), (std::vector{all[2].id, all[1].id}));
  EXPECT_EQ(page.entries[0].state, core::State::pending);
  ASSERT_TRUE(page.next);
  query.after = page.next;
  ASSERT_TRUE(submit({backend->new_job_like(all[0])}));
  page = list(query);
  EXPECT_EQ(ids_of(page), std::vector{all[0].id})
      << "a job that came meanwhile is newer than all of this page";
  EXPECT_FALSE(page.next);
  EXPECT_FALSE(list(list_of(all[0], 4)).next) << "a page that has exactly what is left is the last";
}

TEST_P(StoreContract, a_list_has_the_jobs_that_are_in_the_asked_states_now) {
  auto all = three_jobs();
  auto worker = backend->begin();
  worker->claim(all[0]);
  core::ListQuery query = list_of(all[0], 10);
  query.states = "pending";
  EXPECT_EQ(list(query).entries.size(), 3U) << "the claim is not committed";
  worker->commit();
  EXPECT_EQ(ids_of(list(query)), (std::vector{all[2].id, all[1].id}));
  query.states = "processing,completed";
  EXPECT_EQ(ids_of(list(query)), std::vector{all[0].id});
  query.states = "failed,expired";
  EXPECT_TRUE(list(query).entries.empty());
}

TEST_P(StoreContract, several_pages_of_lists_are_answered_in_order) {
  auto all = three_jobs();
  std::vector<core::ListQuery> queries = {list_of(all[0], 1), list_of(all[0], 3), list_of(all[0], 1)};
  queries[2].states = "cancelled";
  auto pages = call<std::vector<core::JobPage>>([&](auto &reply) { backend->store().lists(queries, reply); });
  ASSERT_TRUE(pages && pages->size() == 3);
  EXPECT_EQ((*pages)[0].entries.size(), 1U);
  EXPECT_EQ((*pages)[1].entries.size(), 3U);
  EXPECT_TRUE((*pages)[2].entries.empty());
}

TEST_P(StoreContract, a_ticket_is_redeemed_once_and_not_after_it_expired) {
  std::string owner = *backend->new_job().owner;
  core::TicketUse one = new_ticket(owner), two = new_ticket(owner), old = new_ticket(owner);
  old.until_ms = backend->now_ms() - 1000;
  EXPECT_EQ(use({one, two, one, old}), (std::vector<bool>{true, true, false, false}));
  EXPECT_EQ(use({one, two, one, old}), (std::vector<bool>(4, false)));
}

TEST_P(StoreContract, a_revocation_counts_once_it_is_committed) {
  std::string owner = *backend->new_job().owner;
  core::TicketUse before = new_ticket(owner), after = new_ticket(owner);
  auto revoked = [&] {
    std::vector<core::Revoked> list =
        *call<std::vector<core::Revoked>>([&](auto &reply) { backend->access().revocations(reply); });
    return std::any_of(list.begin(), list.end(), [&](auto &one) { return one.owner == owner; });
  };
  auto admin = backend->begin();
  admin->revoke(owner);
  EXPECT_FALSE(revoked());
  EXPECT_EQ(use({before}), std::vector<bool>{true});
  admin->commit();
  EXPECT_TRUE(revoked());
  EXPECT_EQ(use({after}), std::vector<bool>{false}) << "issued before the revocation";
}

TEST_P(StoreContract, calls_are_answered_in_order) {
  std::vector<std::unique_ptr<Awaited<core::Tail>>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<Awaited<core::Tail>>());
    backend->store().heads({}, all.back()->reply);
  }
  EXPECT_TRUE(backend->run_until([&] { return all.back()->outcome.has_value(); }));
  for (auto &one : all)
    EXPECT_TRUE(one->outcome && *one->outcome);
}

}  // namespace
}  // namespace await::contract
