#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "core/hub.h"
#include "core/ports.h"
#include "core/snapshot_cursor.h"

/// Ids and ports for the tests of src/core.
namespace await::core {

/// The id of a job, the same for the same number.
inline Uuid id(int n) {
  return Uuid::v7(1000000 + n, 1,
                  {static_cast<std::uint8_t>(n), 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(n >> 8),
                   static_cast<std::uint8_t>(n)});
}

struct FakeScheduler : Scheduler {
  void run_soon() override { ++wakes; }
  void run_after(std::int64_t ms) override { later = ms; }
  int wakes = 0;
  std::int64_t later = 0;
};

/// Records the seq of each hint, and -1 for a change of the history.
struct FakeListener : Listener {
  void on_hint(int seq) noexcept override { calls.push_back(seq); }
  void on_history_changed() noexcept override { calls.push_back(-1); }
  std::vector<int> calls;
};

struct FakeBus : Bus {
  void subscribe(unsigned shard) override { shards.insert(shard); }
  void unsubscribe(unsigned shard) override { shards.erase(shard); }
  void publish(const Uuid &, int, std::string_view) override {}
  void announce(std::string_view queue) override { announced.emplace_back(queue); }
  std::set<unsigned> shards;
  std::vector<std::string> announced;
};

/// Keeps every call until the test answers it.
struct FakeStore : Store {
  struct Batch {
    std::vector<Uuid> ids;
    List<Reply<std::vector<Submitted>>> reply;
    void answer(Result<std::vector<Submitted>> outcome) { reply.front()->deliver(std::move(outcome)); }
    void commit() {
      std::vector<Submitted> rows;
      for (const Uuid &job : ids)
        rows.push_back({job, 7});
      answer(std::move(rows));
    }
  };
  void submit(std::span<const NewJob *const> jobs, Reply<std::vector<Submitted>> &reply) override {
    auto &batch = batches.emplace_back();
    for (const NewJob *job : jobs)
      batch.ids.push_back(job->id);
    batch.reply.push_back(reply);
  }
  void jobs(std::span<const JobQuery> queries, Reply<std::vector<Job>> &reply) override {
    job_queries.emplace_back(queries.begin(), queries.end());
    job_replies.push_back(reply);
  }
  void lists(std::span<const ListQuery>, Reply<std::vector<JobPage>> &) override {}
  void lists(std::span<const ListQuery>, Reply<std::vector<BatchPage>> &) override {}
  void events(std::span<const EventQuery> queries, Reply<std::vector<EventPage>> &reply) override {
    event_queries.emplace_back(queries.begin(), queries.end());
    event_replies.push_back(reply);
  }
  void tail(std::string_view snapshot, Reply<Tail> &reply) override {
    snapshots.emplace_back(snapshot);
    tail_replies.push_back(reply);
  }
  void heads(std::span<const Uuid> ids, Reply<Tail> &reply) override {
    heads_asked.emplace_back(ids.begin(), ids.end());
    tail_replies.push_back(reply);
  }
  void cancel(const Uuid &, std::optional<int>, Reply<Cancelled> &) override {}
  void retry(const Uuid &, const PendingLimits &, Reply<Retried> &) override {}
  void standing(const Uuid &, Reply<Standing> &) override {}

  std::deque<Batch> batches;
  std::vector<std::vector<JobQuery>> job_queries;
  List<Reply<std::vector<Job>>> job_replies;
  std::vector<std::vector<EventQuery>> event_queries;
  List<Reply<std::vector<EventPage>>> event_replies;
  std::vector<std::string> snapshots;
  std::vector<std::vector<Uuid>> heads_asked;
  List<Reply<Tail>> tail_replies;
};

inline EventPage page_up_to(int last, State state = State::processing) {
  EventPage page;
  page.last_seq = last;
  page.state = state;
  return page;
}

/// The id of a topic (0xff) or a user (0xfe).
inline Uuid named_id(std::uint8_t mark, std::uint8_t n) {
  Uuid::Raw raw{};
  std::fill_n(raw.begin(), 6, std::uint8_t{0xff});
  raw[3] = mark;
  raw[6] = raw[8] = 0x80;
  raw[15] = n;
  return Uuid(raw);
}

inline const CursorKeys kKeys = {{1, 2}};

/// A page of a user channel, read up to `until`, with the events of these eids.
inline EventPage merged(const std::string &until, std::vector<int> eids, bool complete = true) {
  EventPage page;
  page.state = State::processing;
  page.merged = {{until, 1000}, complete, false};
  for (int eid : eids) {
    Event &event = page.events.emplace_back();
    event.seq = 1;
    event.origin = {id(eid), std::nullopt, eid};
  }
  return page;
}

}  // namespace await::core
