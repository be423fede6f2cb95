// pg::JobStore and pg::PayloadStore on a real PostgreSQL (AWAIT_POSTGRES): what store_test.cc, which every
// store must pass, does not cover.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "core/read_batcher.h"
#include "core/snapshot_cursor.h"
#include "fuzz/forged.h"
#include "io/poll_loop.h"
#include "pg/call.h"
#include "pg/job_store.h"
#include "pg/payload_store.h"

namespace await {
namespace {

struct Quiet : io::Log {
  void info(std::string_view) override {}
  void error(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

/// Awaits one reply of a port.
template <class T>
struct Awaited {
  void got(Result<T> value) { outcome = std::move(value); }
  std::optional<Result<T>> outcome;
  core::Reply<T> reply = core::Reply<T>::template to<&Awaited::got>(this);
};

class JobStoreTest : public testing::Test {
 protected:
  static std::string conninfo() {
    const char *value = std::getenv("AWAIT_POSTGRES");
    return value != nullptr ? value : "";
  }
  void SetUp() override {
    ASSERT_FALSE(conninfo().empty()) << "run by make contract";
    write.start();
    read.start();
    ASSERT_TRUE(loop.run_until([&] { return write.ready() && read.ready(); }, 10'000));
  }
  template <class T>
  Result<T> wait(Awaited<T> &awaited) {
    EXPECT_FALSE(awaited.outcome) << "never within the call";
    EXPECT_TRUE(loop.run_until([&] { return awaited.outcome.has_value(); }, 10'000));
    return std::move(*awaited.outcome);
  }
  void run_sql(const std::string &sql) {
    std::unique_ptr<PGconn, void (*)(PGconn *)> pg(PQconnectdb(conninfo().c_str()), PQfinish);
    std::unique_ptr<PGresult, void (*)(PGresult *)> result(PQexec(pg.get(), sql.c_str()), PQclear);
    ASSERT_TRUE(PQresultStatus(result.get()) == PGRES_TUPLES_OK ||
                PQresultStatus(result.get()) == PGRES_COMMAND_OK)
        << PQerrorMessage(pg.get());
  }
  core::NewJob new_job() {
    core::NewJob job;
    job.id = Uuid::v7(loop.unix_ms(), 1, random.ten());
    job.queue = "contract";
    job.content_type = "text/plain";
    job.payload = "hello";
    job.payload_size = 5;
    job.owner = "o";
    return job;
  }
  Result<std::vector<core::Submitted>> submit(const std::vector<core::NewJob> &jobs) {
    std::vector<const core::NewJob *> pointers;
    for (const core::NewJob &job : jobs)
      pointers.push_back(&job);
    Awaited<std::vector<core::Submitted>> awaited;
    store.submit(pointers, awaited.reply);
    return wait(awaited);
  }
  core::Job read_job(const Uuid &id, core::ResultDetail want = core::ResultDetail::body) {
    Awaited<std::vector<core::Job>> awaited;
    std::vector<core::JobQuery> queries = {{id, want}};
    store.jobs(queries, awaited.reply);
    auto rows = wait(awaited);
    EXPECT_TRUE(rows && rows->size() == 1);
    return rows && rows->size() == 1 ? (*rows)[0] : core::Job();
  }
  /// In SQL, the receipt of whoever holds it.
  static std::string receipt_of(const core::NewJob &job) {
    return "(SELECT receipt FROM await.lease WHERE job = '" + job.id.text() + "')";
  }
  std::string claim_all() const { return "SELECT await.claim(ARRAY['contract'], 'w', 1000);"; }

  io::PollLoop loop;
  Quiet log;
  io::Random random;
  pg::Connection write{loop, log, random, {conninfo(), "write"}};
  pg::Connection read{loop, log, random, {conninfo(), "read"}};
  pg::JobStore store{write, read, 16384};
  pg::PayloadStore payloads{write};
};

TEST_F(JobStoreTest, all_members_of_a_job_are_stored) {
  core::NewJob job = new_job();
  job.file_name = "f";
  job.params = R"({"a": "1"})";
  job.correlation_id = "c";
  auto outcome = submit({job});
  ASSERT_TRUE(outcome);
  EXPECT_EQ((*outcome)[0].id, job.id);
  core::Job found = read_job(job.id);
  EXPECT_EQ(found.id, job.id);
  EXPECT_EQ(found.queue, "contract");
  EXPECT_EQ(found.owner, "o");
  EXPECT_EQ(found.state, core::State::pending);
  EXPECT_EQ(found.seq, 1);
  EXPECT_EQ(found.params, R"({"a": "1"})");
  EXPECT_EQ(found.created_at, (*outcome)[0].created_at);
  EXPECT_NEAR(static_cast<double>(found.created_at), static_cast<double>(loop.unix_ms()), 60'000);
}

TEST_F(JobStoreTest, an_idempotency_key_returns_the_first_job) {
  auto with_key = [this](std::string print) {
    core::NewJob job = new_job();
    job.idempotency = core::IdempotencyKey{"a key", std::move(print), 60'000};
    return job;
  };
  core::NewJob first = with_key("p"), twin = with_key("p"), other = with_key("q"), plain = new_job();
  auto outcome = submit({plain, first, twin, other});
  ASSERT_TRUE(outcome && outcome->size() == 4);
  EXPECT_EQ((*outcome)[0].id, plain.id);
  EXPECT_EQ((*outcome)[1].id, first.id);
  EXPECT_EQ((*outcome)[2].id, first.id);
  EXPECT_EQ((*outcome)[3].id, first.id);
  EXPECT_FALSE((*outcome)[2].clash);
  EXPECT_TRUE((*outcome)[3].clash);
  EXPECT_EQ((*outcome)[2].created_at, read_job(first.id).created_at);
  auto again = submit({first});
  ASSERT_TRUE(again) << "sent again after a lost connection";
  EXPECT_EQ((*again)[0].id, first.id);
  auto later = submit({with_key("p")});
  ASSERT_TRUE(later);
  EXPECT_EQ((*later)[0].id, first.id);
  Awaited<std::vector<core::Job>> awaited;
  std::vector<core::JobQuery> queries = {{twin.id, core::ResultDetail::none},
                                         {other.id, core::ResultDetail::none},
                                         {plain.id, core::ResultDetail::none}};
  store.jobs(queries, awaited.reply);
  EXPECT_EQ(wait(awaited)->size(), 1U) << "only the one without a key";
}

TEST_F(JobStoreTest, events_have_their_data_and_a_tail_their_newest_seq) {
  core::NewJob job = new_job();
  ASSERT_TRUE(submit({job}));
  Awaited<core::Tail> before;
  std::vector<Uuid> ids = {job.id};
  store.heads(ids, before.reply);
  auto head = wait(before);
  ASSERT_TRUE(head);
  EXPECT_TRUE(head->changes.empty()) << "seq 1 is no change";
  run_sql(claim_all() + "SELECT count(await.emit('" + job.id.text() + "', " + receipt_of(job) +
          ", 'n', to_jsonb(n))) FROM generate_series(1, 250) n");

  Awaited<core::Tail> tail;
  store.tail(head->snapshot, tail.reply);
  auto changed = wait(tail);
  ASSERT_TRUE(changed && changed->complete);
  bool found = false;
  for (auto &[id, seq] : changed->changes)
    found = found || (id == job.id && seq == 252);
  EXPECT_TRUE(found);
  Awaited<core::Tail> none;
  store.tail(changed->snapshot, none.reply);
  EXPECT_TRUE(wait(none)->changes.empty()) << "nothing repeated";

  std::vector<core::EventQuery> queries = {{job.id, 1}, {new_job().id, 0}, {job.id, 252}, {job.id, 200}};
  Awaited<std::vector<core::EventPage>> awaited;
  store.events(queries, awaited.reply);
  auto pages = wait(awaited);
  ASSERT_TRUE(pages && pages->size() == 4);
  EXPECT_EQ((*pages)[0].events.size(), 100U);
  EXPECT_EQ((*pages)[0].events[0].seq, 2);
  EXPECT_EQ((*pages)[0].events[99].seq, 101);
  EXPECT_EQ((*pages)[0].last_seq, 252);
  EXPECT_EQ((*pages)[1].last_seq, 0) << "unknown";
  EXPECT_TRUE((*pages)[2].events.empty());
  EXPECT_EQ((*pages)[3].events.back().data, "250");
}

TEST_F(JobStoreTest, the_channel_of_a_user_names_its_owner_and_rejects_old_snapshots) {
  auto page_after = [&](const core::SnapshotCursor &since) {
    std::vector<core::EventQuery> queries = {{Uuid(), 0, core::SnapshotCursor{"nobody", {}, {}, 0}},
                                             {Uuid(), 0, since}};
    Awaited<std::vector<core::EventPage>> awaited;
    store.events(queries, awaited.reply);
    auto pages = wait(awaited);
    EXPECT_TRUE(pages && pages->size() == 2) << (pages ? "" : pages.error().detail);
    EXPECT_TRUE((*pages)[0].merged && (*pages)[0].events.empty());
    return std::move((*pages)[1]);
  };
  core::NewJob job = new_job();
  job.owner = "user of " + job.id.text();
  core::SnapshotCursor since{*job.owner, {}, {}, 0};
  auto page = page_after(since);
  ASSERT_TRUE(page.merged && page.merged->complete && !page.merged->lost);
  EXPECT_TRUE(page.events.empty()) << "from now on";
  since.seen = page.merged->until;
  EXPECT_FALSE(since.seen.text.empty());

  ASSERT_TRUE(submit({job, new_job()}));
  run_sql(claim_all() + "SELECT count(await.emit('" + job.id.text() + "', " + receipt_of(job) +
          ", 'n', to_jsonb(n))) FROM generate_series(1, 600) n");
  page = page_after(since);
  ASSERT_EQ(page.events.size(), 500U);
  EXPECT_FALSE(page.merged->complete);
  EXPECT_EQ(page.owner, job.owner);
  EXPECT_EQ(page.events[0].type, "pending");
  EXPECT_EQ(page.events[0].origin->job, job.id);
  EXPECT_EQ(page.events[499].seq, 500);
  run_sql("SELECT await.emit('" + job.id.text() + "', " + receipt_of(job) + ", 'late', 'null')");
  since.reading = page.merged->until;
  since.eid = page.events[499].origin->eid;
  page = page_after(since);
  ASSERT_EQ(page.events.size(), 102U) << "up to the moment of the first page";
  EXPECT_TRUE(page.merged->complete);
  EXPECT_EQ(page.merged->until.text, since.reading.text);
  page = page_after({*job.owner, page.merged->until, {}, 0});
  ASSERT_EQ(page.events.size(), 1U);
  EXPECT_EQ(page.events[0].type, "late");
  page = page_after({*job.owner, {page.merged->until.text, 1000}, {}, 0});
  EXPECT_TRUE(page.merged->lost) << "as old as that";
  EXPECT_TRUE(page.events.empty());
}

// A cursor's snapshot that PostgreSQL does not take fails the statement in which it stands: whatever we take,
// pg_snapshot_in must take. Some thousand of them in one statement, from the edges of the numbers and at
// random.
TEST_F(JobStoreTest, postgresql_accepts_every_snapshot_that_is_decoded) {
  Uuid user = Uuid::v7(1, 0, {});
  core::CursorKeys keys = {{1, 2}};
  std::string head = from_base64url(core::encode_snapshot_cursor(keys, 7, user, {"", {"3:3:", 0}, {}, 0}))
                         .value()
                         .substr(0, 13);
  unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;
  auto number = [&]() -> std::uint64_t {
    const std::uint64_t edges[] = {0, 1, 2, 3, kEpoch, std::uint64_t{1} << 62, std::uint64_t{1} << 63};
    std::uint64_t base = edges[dice() % 7] * (dice() % 2 == 0 ? 1 : dice() % 9);
    return dice() % 3 == 0 ? dice() >> (dice() % 64) : base + dice() % 5 - 2;
  };
  std::set<std::string> taken;
  for (int tries = 0; tries < 400'000 && taken.size() < 10'000; ++tries) {
    std::string raw = head;
    for (int snapshots = static_cast<int>(dice() % 2); snapshots >= 0; --snapshots) {
      std::uint64_t xmin = number(), count = dice() % 4;
      fuzz::put_number(raw, number());
      fuzz::put_number(raw, xmin);
      fuzz::put_number(raw, dice() % 2 == 0 ? number() : (kEpoch - xmin % kEpoch) + dice() % 3 - 1);
      fuzz::put_number(raw, count);
      for (; count > 0; --count)
        fuzz::put_number(raw, dice() % 2 == 0 ? dice() % 3 : number());
      if (snapshots > 0)
        fuzz::put_number(raw, number());
    }
    if (dice() % 8 == 0)
      raw[13 + dice() % (raw.size() - 13)] = static_cast<char>(dice());
    auto since = core::decode_snapshot_cursor(keys, fuzz::forged(keys[0], raw, user), 7, user);
    if (since)
      taken.insert(since->seen.text);
    if (since && !since->reading.text.empty())
      taken.insert(since->reading.text);
  }
  EXPECT_GT(taken.size(), 1000U);
  std::string list;
  for (const std::string &text : taken)
    list += (list.empty() ? "'" : ",'") + text + "'";
  run_sql(
      "DO $$ DECLARE t text; s text; BEGIN FOREACH t IN ARRAY ARRAY[" + list +
      "] LOOP s := t::pg_snapshot::text; IF s <> t THEN RAISE '% became %', t, s; END IF; END LOOP; END $$");
}

// One user's value that PostgreSQL refuses failed all users' reads of that moment.
TEST_F(JobStoreTest, an_invalid_snapshot_fails_only_its_own_read) {
  struct : core::Scheduler {
    void run_soon() override {}
    void run_after(std::int64_t) override {}
  } run_soon;
  struct Asker {
    void got(Result<const core::EventPage *> page) {
      ++calls;
      code = page ? Code::internal : page.error().code;
      good = page && *page != nullptr;
    }
    int calls = 0;
    bool good = false;
    Code code = Code::internal;
    core::SnapshotCursor since;
    core::EventRead need{core::Callback<Result<const core::EventPage *>>::to<&Asker::got>(this)};
  };
  const std::map<std::size_t, std::string> bad = {
      {3, "3:8589934592:"}, {4, "0:5:"}, {30, "9:8:"}, {63, "3:9:12"}, {64, "x"}};
  core::ReadBatcher<core::EventRead> gather(store, run_soon, 2, 64);
  std::deque<Asker> askers(100);
  for (std::size_t i = 0; i < askers.size(); ++i) {
    auto snapshot = bad.find(i);
    askers[i].since = {"reader " + std::to_string(i),
                       {snapshot != bad.end() ? snapshot->second : "3:3:", loop.unix_ms() / 1000},
                       {},
                       0};
    askers[i].need.since = &askers[i].since;
    gather.add(askers[i].need);
  }
  read.take_count();
  ASSERT_TRUE(loop.run_until(
      [&] {
        gather.run(loop.monotonic_ms());
        return std::all_of(askers.begin(), askers.end(), [](auto &one) { return one.calls == 1; });
      },
      20'000));
  for (std::size_t i = 0; i < askers.size(); ++i) {
    bool refused = bad.contains(i);
    EXPECT_EQ(askers[i].good, !refused) << i;
    EXPECT_EQ(askers[i].code == Code::invalid, refused) << i;
  }
  EXPECT_LE(read.take_count(), 2 + 5 * 2 * 7);
}

TEST_F(JobStoreTest, tickets_of_a_revoked_owner_are_rejected) {
  core::TicketUse one{Uuid::v7(loop.unix_ms(), 0, random.ten()), "ticket owner", loop.unix_ms(),
                      loop.unix_ms() + 30'000};
  core::TicketUse two = one;
  two.id = Uuid::v7(loop.unix_ms(), 0, random.ten());
  core::TicketUse old = one;
  old.id = Uuid::v7(loop.unix_ms(), 0, random.ten());
  old.until_ms = loop.unix_ms() - 1000;
  std::vector<core::TicketUse> all = {one, two, one, old};
  Awaited<std::vector<bool>> first;
  store.use(all, first.reply);
  EXPECT_EQ(*wait(first), (std::vector<bool>{true, true, false, false}));
  Awaited<std::vector<bool>> second;
  store.use(all, second.reply);
  EXPECT_EQ(*wait(second), (std::vector<bool>{false, false, false, false}));

  run_sql("SELECT await.revoke('ticket owner')");
  core::TicketUse three = one;
  three.id = Uuid::v7(loop.unix_ms(), 0, random.ten());
  std::vector<core::TicketUse> later = {three};
  Awaited<std::vector<bool>> third;
  store.use(later, third.reply);
  EXPECT_EQ(*wait(third), (std::vector<bool>{false})) << "issued before its owner was revoked";
  Awaited<std::vector<core::Revoked>> revoked;
  store.revocations(revoked.reply);
  auto list = wait(revoked);
  ASSERT_TRUE(list && !list->empty());
  EXPECT_EQ((*list)[0].owner, "ticket owner");
}

TEST_F(JobStoreTest, a_result_is_read_with_as_much_detail_as_wanted) {
  core::NewJob job = new_job();
  ASSERT_TRUE(submit({job}));
  run_sql(claim_all() + "SELECT await.complete('" + job.id.text() + "', " + receipt_of(job) +
          ", '\\x00ff', 'image/png', 201, 'n')");
  core::Job found = read_job(job.id);
  ASSERT_TRUE(found.result);
  EXPECT_EQ(found.result->status, 201);
  EXPECT_EQ(found.result->size, 2);
  EXPECT_EQ(found.result->name, "n");
  EXPECT_EQ(found.result->body->view(), std::string_view("\0\xff", 2));
  EXPECT_FALSE(read_job(job.id, core::ResultDetail::json_value).result->body) << "no JSON";
}

TEST_F(JobStoreTest, a_job_is_cancelled_once_and_only_in_the_expected_state) {
  core::NewJob job = new_job();
  ASSERT_TRUE(submit({job}));
  Awaited<core::Cancelled> meant_another;
  store.cancel(job.id, 7, meant_another.reply);
  EXPECT_EQ(*wait(meant_another), core::Cancelled::changed);
  for (core::Cancelled expected : {core::Cancelled::now, core::Cancelled::already}) {
    Awaited<core::Cancelled> awaited;
    store.cancel(job.id, std::nullopt, awaited.reply);
    EXPECT_EQ(*wait(awaited), expected);
  }
  Awaited<core::Cancelled> unknown;
  store.cancel(new_job().id, std::nullopt, unknown.reply);
  EXPECT_EQ(*wait(unknown), core::Cancelled::unknown);
}

TEST_F(JobStoreTest, payloads_are_stored_and_read_in_chunks) {
  core::NewJob job = new_job();
  std::string big(300'000, 'x');
  Awaited<Done> put;
  payloads.put(job.id, 0, 0, big, put.reply);
  EXPECT_TRUE(wait(put));
  job.payload.reset();
  job.payload_size = 300'000;
  ASSERT_TRUE(submit({job}));
  payloads.drop(job.id);  // of a job that is there: nothing happens
  run_sql(claim_all() + "SELECT await.complete('" + job.id.text() + "', " + receipt_of(job) +
          ", await.payload('" + job.id.text() + "', " + receipt_of(job) + ", 0, 16777216))");
  Awaited<core::Chunk> get;
  payloads.get(job.id, 1, 262'150, get.reply);
  auto piece = wait(get);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->pos, 262'144);
  EXPECT_EQ(piece->bytes.size(), 300'000U - 262'144);
}

TEST_F(JobStoreTest, a_lost_connection_fails_its_calls_and_is_made_again) {
  Awaited<Done> slow;
  pg::Params none;
  read.send(
      std::make_unique<pg::Call<Done>>("SELECT pg_sleep(30)", std::move(none), slow.reply,
                                       [](const pg::Rows &, std::size_t) -> Result<Done> { return Done{}; }));
  loop.round(50);
  run_sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nginx-await-read'");
  auto outcome = wait(slow);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::unavailable);
  EXPECT_TRUE(loop.run_until([&] { return read.ready(); }, 10'000));
  EXPECT_FALSE(log.lines.empty()) << "said once";
}

TEST_F(JobStoreTest, a_server_that_becomes_read_only_is_disconnected) {
  Awaited<std::vector<core::Job>> jobs;
  core::JobQuery query{Uuid(), core::ResultDetail::none};
  store.jobs({&query, 1}, jobs.reply);
  ASSERT_TRUE(loop.run_until([&] { return jobs.outcome.has_value(); }, 5'000));
  ASSERT_TRUE(read.ready());
  // as a demotion tells it: the server reports the setting with its next answer
  bool set = false;
  struct Set : pg::Statement {
    explicit Set(bool &done)
        : Statement("SELECT set_config('default_transaction_read_only', 'on', false)", {}), done(done) {}
    void finish(Result<pg::Rows>) override { done = true; }
    bool &done;
  };
  read.send(std::make_unique<Set>(set));
  ASSERT_TRUE(loop.run_until([&] { return set && !read.ready(); }, 5'000)) << "left";
  EXPECT_TRUE(loop.run_until([&] { return read.ready(); }, 5'000))
      << "and connected anew, to one that is writable";
}

}  // namespace
}  // namespace await
