#include "relay/recent_events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace await::relay {
namespace {

using core::LoggedEvent;
using core::SnapshotView;

Uuid job(int n) {
  Uuid::Raw raw{};
  raw[14] = static_cast<std::uint8_t>(n >> 8);
  raw[15] = static_cast<std::uint8_t>(n);
  return Uuid(raw);
}

LoggedEvent logged(int n, int seq, std::uint64_t xid) { return {0, job(n), seq, xid}; }

RelayEvent event(const LoggedEvent &key, std::size_t size = 0) {
  RelayEvent out;
  out.job = key.job;
  out.seq = key.seq;
  if (size > 0)
    out.data = std::string(size, 'x');
  return out;
}

SnapshotView view(const std::string &text) { return SnapshotView::parse(text).value(); }

/// What the tables answer in this snapshot: all that is due, as far as it is visible.
bool read_tables(RecentEvents &recent, const std::string &snapshot, core::Lsn upto, std::size_t size = 0) {
  RecentEvents::Reading reading{snapshot, view(snapshot), upto, recent.take_due(1000), {}};
  for (const auto &due : reading.looked_for) {
    if (reading.view.sees(due.event.xid))
      reading.events.push_back(event(due.event, size));
  }
  return recent.on_reading(std::move(reading));
}

std::string ids(const RecentEvents::Page &page) {
  std::string out;
  for (const RelayEvent &event : page.events)
    out += (out.empty() ? "" : " ") + std::to_string(event.job.raw()[15]) + ":" + std::to_string(event.seq);
  return out;
}

TEST(RecentEvents, are_released_when_a_snapshot_sees_them) {
  RecentEvents recent;
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  ASSERT_TRUE(place);
  recent.on_event(logged(1, 1, 101));
  recent.on_event(logged(2, 1, 102));
  recent.on_event(logged(1, 2, 103));
  EXPECT_TRUE(read_tables(recent, "102:104:102", 50));
  auto page = recent.read(*place, 10, view("101:101:"));
  EXPECT_EQ(ids(page), "1:1 1:2") << "102 waits for a standby, and holds back nobody else";
  EXPECT_FALSE(recent.has_due()) << "nothing that a snapshot has seen";
  EXPECT_TRUE(recent.wants_snapshot());
  EXPECT_FALSE(read_tables(recent, "102:104:102", 50));
  read_tables(recent, "104:104:", 60);
  EXPECT_TRUE(recent.has_due()) << "it is visible now";
  EXPECT_TRUE(read_tables(recent, "104:104:", 60));
  EXPECT_EQ(ids(recent.read(page.next, 10, view("101:101:"))), "2:1");
}

TEST(RecentEvents, of_a_job_stay_in_order_if_only_a_part_was_looked_for) {
  RecentEvents recent;
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  recent.on_event(logged(1, 1, 101));
  read_tables(recent, "101:101:", 10);
  recent.on_event(logged(1, 2, 102));
  RecentEvents::Reading reading{"103:103:", view("103:103:"), 20, recent.take_due(10), {}};
  ASSERT_EQ(reading.looked_for.size(), 1U) << "of the first it was known that it is not visible";
  reading.events.push_back(event(logged(1, 2, 102)));
  EXPECT_FALSE(recent.on_reading(std::move(reading)));
  EXPECT_EQ(ids(recent.read(*place, 10, {})), "") << "the second one must not be first";
  read_tables(recent, "103:103:", 20);
  EXPECT_EQ(ids(recent.read(*place, 10, {})), "1:1 1:2");
}

TEST(RecentEvents, that_were_deleted_are_not_waited_for) {
  RecentEvents recent;
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  recent.on_event(logged(1, 1, 101));
  recent.on_event(logged(2, 1, 102));
  RecentEvents::Reading reading{"103:103:", view("103:103:"), 20, recent.take_due(10), {}};
  reading.events.push_back(event(logged(2, 1, 102)));
  EXPECT_TRUE(recent.on_reading(std::move(reading)));
  EXPECT_EQ(ids(recent.read(*place, 10, {})), "2:1");
  EXPECT_FALSE(recent.has_due());
}

TEST(RecentEvents, a_sink_attaches_only_if_it_has_all_that_came_before) {
  RecentEvents recent;
  EXPECT_FALSE(recent.attach(view("200:200:"))) << "it is not known where the stream begins";
  recent.start(100);
  EXPECT_FALSE(recent.attach(view("100:120:100"))) << "a transaction from before the stream may commit yet";
  EXPECT_TRUE(recent.attach(view("101:120:110")));
  recent.reset();
  EXPECT_TRUE(recent.wants_start());
  EXPECT_FALSE(recent.attach(view("200:200:")));
}

TEST(RecentEvents, the_first_sink_forgets_what_it_has_and_no_other_may_miss_it) {
  RecentEvents recent;
  recent.start(100);
  recent.attach(view("101:101:"));
  recent.on_event(logged(1, 1, 101));
  recent.on_event(logged(2, 1, 102));
  RecentEvents::Reading reading{"103:103:", view("103:103:"), 20, recent.take_due(10), {}};
  recent.detach();
  auto place = recent.attach(view("102:102:"));
  for (const auto &due : reading.looked_for)
    reading.events.push_back(event(due.event));
  recent.on_reading(std::move(reading));
  EXPECT_EQ(ids(recent.read(*place, 10, {})), "2:1") << "an answer to what was asked before";
  EXPECT_FALSE(recent.attach(view("101:102:101"))) << "the first event is not here any more";
}

TEST(RecentEvents, another_sink_skips_what_it_has) {
  RecentEvents recent;
  recent.start(100);
  recent.attach(view("101:101:"));
  recent.on_event(logged(1, 1, 101));
  recent.on_event(logged(2, 1, 102));
  read_tables(recent, "103:103:", 20);
  SnapshotView seen = view("102:103:102");  // 101 has ended before it
  auto place = recent.attach(seen);
  ASSERT_TRUE(place);
  EXPECT_EQ(ids(recent.read(*place, 10, seen)), "2:1");
}

TEST(RecentEvents, a_cursor_moves_when_the_log_has_come_as_far) {
  RecentEvents recent;
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  recent.on_event(logged(1, 1, 101));
  recent.on_position(30);
  read_tables(recent, "102:103:102", 40);  // sees 101, and perhaps what is yet to come in the log
  auto next = recent.read(*place, 10, {}).next;
  EXPECT_EQ(recent.mark(next), nullptr) << "the log has not come to 40";
  EXPECT_FALSE(recent.settle_mark()) << "nor does it by itself";
  recent.on_position(40);
  EXPECT_TRUE(recent.settle_mark()) << "without another reading, as nothing else may happen";
  EXPECT_FALSE(recent.settle_mark()) << "once";
  recent.on_event(logged(2, 1, 102));
  EXPECT_TRUE(read_tables(recent, "103:103:", 50));
  ASSERT_NE(recent.mark(recent.read(*place, 10, {}).next), nullptr);
  EXPECT_EQ(recent.mark(recent.read(*place, 10, {}).next)->snapshot, "102:103:102");
  EXPECT_EQ(recent.mark(*place), nullptr) << "not for a sink that has not had the event";
}

TEST(RecentEvents, a_sink_that_is_too_slow_loses_its_place) {
  RecentEvents recent({100, 1000, 20'000, 5'000});
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  std::uint64_t xid = 101;
  for (; xid < 111; ++xid) {
    recent.on_event(logged(1, static_cast<int>(xid), xid));
    read_tables(recent, std::to_string(xid + 1) + ":" + std::to_string(xid + 1) + ":", xid, 1000);
  }
  EXPECT_TRUE(recent.holds(*place));
  auto page = recent.read(*place, 1000, {});
  EXPECT_LT(page.events.size(), 8U) << "a page is bounded by bytes";
  EXPECT_FALSE(page.complete);
  for (; xid < 131; ++xid) {
    recent.on_event(logged(1, static_cast<int>(xid), xid));
    read_tables(recent, std::to_string(xid + 1) + ":" + std::to_string(xid + 1) + ":", xid, 1000);
  }
  EXPECT_FALSE(recent.holds(*place));
  EXPECT_FALSE(recent.attach(view("102:102:"))) << "what it lacks was dropped";
  auto again = recent.attach(view("131:131:"));
  EXPECT_TRUE(again) << "the tables have brought it on";
}

TEST(RecentEvents, a_burst_that_is_too_large_is_left_to_the_tables) {
  RecentEvents recent({100, 1000, 1'000'000, 5'000});
  recent.start(100);
  auto place = recent.attach(view("101:101:"));
  for (int seq = 1; seq <= 101; ++seq)
    recent.on_event(logged(1, seq, 101));
  EXPECT_FALSE(recent.holds(*place));
  EXPECT_TRUE(recent.wants_start());
  recent.detach();
  recent.start(110);
  EXPECT_FALSE(recent.attach(view("105:112:105")));
  EXPECT_TRUE(recent.attach(view("112:112:")));
}

/// A database with its log, in which transactions become visible in another order than they commit, and
/// sinks that attach and are detached, are slow, crash, and go on from their cursors.
class World {
 public:
  explicit World(unsigned seed) : random_(seed) {
    recent_.emplace(RecentEvents::Limits{30, 40, 1'000'000, 100'000});
    sinks_.resize(3);
    for (Sink &sink : sinks_)
      sink.cursor = snapshot();
  }
  /// How often a sink has read while it was attached.
  int attached_reads() const { return attached_reads_; }
  void run() {
    for (int step = 0; step < 4000; ++step)
      act(random_() % 100);
    chaos_ = false;
    for (int step = 0; step < 4000 && !done(); ++step)
      act(random_() % 100);
    ASSERT_TRUE(done()) << "a sink does not catch up";
    for (const Sink &sink : sinks_) {
      for (const auto &[id, seq] : last_)
        ASSERT_EQ(sink.had.count(id) ? sink.had.at(id) : 0, seq) << "lost";
    }
  }

 private:
  struct Row {
    LoggedEvent key;
    bool deleted = false;
  };
  struct Sink {
    std::string cursor;              // durable
    std::map<int, int> had;          // by job: the highest seq
    std::map<int, int> since_start;  // the same since the last crash or change of the source
    std::optional<RecentEvents::Place> place;
    SnapshotView seen;
    std::string given;  // the newest cursor that is not durable yet
  };
  struct Logged {
    std::vector<LoggedEvent> events;
    core::Lsn end;
  };

  std::string snapshot() const {
    std::uint64_t xmax = 1, xmin;
    std::string list;
    for (std::uint64_t xid : ended_)
      xmax = std::max(xmax, xid + 1);
    xmin = xmax;
    for (std::uint64_t xid = xmax; xid-- > 1;) {
      if (ended_.count(xid) == 0)
        xmin = xid;
    }
    for (std::uint64_t xid = xmin; xid < xmax; ++xid) {
      if (ended_.count(xid) == 0)
        list += (list.empty() ? "" : ",") + std::to_string(xid);
    }
    return std::to_string(xmin) + ":" + std::to_string(xmax) + ":" + list;
  }

  void begin() {
    std::uint64_t xid = next_xid_++;
    running_[xid] = {};
  }
  /// Inserts into a running transaction; the job is locked until that has ended.
  void insert() {
    if (running_.empty())
      return;
    auto at = std::next(running_.begin(), random_() % running_.size());
    int n = static_cast<int>(random_() % 12);
    auto lock = locks_.find(n);
    if (lock != locks_.end() && lock->second != at->first)
      return;
    locks_[n] = at->first;
    at->second.push_back(logged(n, ++last_[n], at->first));
  }
  void commit() {
    if (running_.empty())
      return;
    auto at = std::next(running_.begin(), random_() % running_.size());
    wal_ += 10 + random_() % 20;
    if (!at->second.empty())
      log_.push_back({at->second, wal_});
    committed_.push_back(*at);
    running_.erase(at);
  }
  /// The transaction leaves the list of those that run, perhaps long after its commit.
  void become_visible() {
    if (committed_.empty())
      return;
    auto at = std::next(committed_.begin(), random_() % committed_.size());
    for (const LoggedEvent &key : at->second)
      rows_.push_back({key});
    ended_.insert(at->first);
    std::erase_if(locks_, [&](auto &lock) { return lock.second == at->first; });
    committed_.erase(at);
  }
  void stream() {
    if (!streaming_)
      return;
    if (log_.size() > sent_) {
      for (const LoggedEvent &key : log_[sent_].events)
        recent_->on_event(key);
      recent_->on_position(log_[sent_].end);
      ++sent_;
    } else {
      recent_->on_position(wal_);
    }
  }
  void reconnect() {
    recent_->reset();
    streaming_ = true;
    sent_ = log_.size();
    asked_.reset();
  }
  void start_number() {
    if (recent_->wants_start() && streaming_) {
      std::uint64_t xid = next_xid_++;
      ended_.insert(xid);
      recent_->start(xid);
    }
  }
  /// The question of a reading, and later its answer, perhaps of a part.
  void read_tables() {
    if (!asked_) {
      asked_ = recent_->take_due(1 + random_() % 20);
      return;
    }
    std::string text = snapshot();
    RecentEvents::Reading reading{text, view(text), wal_ += 1, *asked_, {}};
    asked_.reset();
    reading.looked_for.resize(reading.looked_for.size() - random_() % (reading.looked_for.size() + 1) / 2);
    for (const auto &due : reading.looked_for) {
      auto same = [&](const Row &row) {
        return row.key.job == due.event.job && row.key.seq == due.event.seq;
      };
      if (std::any_of(rows_.begin(), rows_.end(), same))
        reading.events.push_back(event(due.event));
    }
    recent_->on_reading(std::move(reading));
  }

  void take(Sink &sink, const Uuid &id, int seq) {
    int n = id.raw()[15];
    int &had = sink.had[n];
    ASSERT_LE(seq, had + 1) << "an event was skipped";
    if (sink.since_start.count(n) != 0) {
      ASSERT_EQ(seq, sink.since_start[n] + 1) << "not in order";
    }
    sink.since_start[n] = seq;
    had = std::max(had, seq);
  }
  void leave(Sink &sink) {
    if (sink.place)
      recent_->detach();
    sink.place.reset();
    sink.since_start.clear();
  }
  void deliver(Sink &sink) {
    if (sink.place && !recent_->holds(*sink.place)) {
      leave(sink);
      sink.cursor = sink.given;
    }
    if (!sink.place) {
      std::string upto = snapshot();
      SnapshotView before = view(sink.cursor);
      std::vector<LoggedEvent> page;
      for (const Row &row : rows_) {  // in the order in which they became visible
        if (!before.sees(row.key.xid))
          page.push_back(row.key);
      }
      for (const LoggedEvent &key : page)
        take(sink, key.job, key.seq);
      sink.cursor = sink.given = upto;
      sink.seen = view(upto);
      if (random_() % 3 != 0)
        sink.place = recent_->attach(sink.seen);
      return;
    }
    auto page = recent_->read(*sink.place, 1 + random_() % 8, sink.seen);
    for (const RelayEvent &event : page.events)
      take(sink, event.job, event.seq);
    ++attached_reads_;
    sink.place = page.next;
    if (const auto *mark = recent_->mark(page.next); mark != nullptr && mark->view.covers(view(sink.given)))
      sink.given = mark->snapshot;
    if (random_() % 4 == 0)
      sink.cursor = sink.given;
  }
  void act(unsigned dice) {
    Sink &sink = sinks_[random_() % sinks_.size()];
    if (chaos_ && dice < 8)
      begin();
    else if (chaos_ && dice < 26)
      insert();
    else if (dice < 34)
      commit();
    else if (dice < 45)
      become_visible();
    else if (dice < 60)
      stream();
    else if (dice < 80)
      read_tables();
    else if (dice < 82)
      start_number();
    else if (dice == 82 && chaos_ && random_() % 5 == 0)
      streaming_ = false;
    else if (dice == 83 && (!streaming_ || random_() % 10 == 0))
      reconnect();
    else if (dice == 84 && chaos_ && random_() % 5 == 0)
      leave(sink);  // a crash: from the durable cursor
    else if (dice >= 85)
      deliver(sink);
  }
  bool done() const {
    bool out = running_.empty() && committed_.empty();
    for (const Sink &sink : sinks_) {
      for (const auto &[id, seq] : last_)
        out = out && sink.had.count(id) != 0 && sink.had.at(id) == seq;
    }
    return out;
  }

  std::mt19937 random_;
  std::optional<RecentEvents> recent_;
  std::uint64_t next_xid_ = 1;
  core::Lsn wal_ = 1;
  std::map<std::uint64_t, std::vector<LoggedEvent>> running_;
  std::vector<std::pair<std::uint64_t, std::vector<LoggedEvent>>> committed_;
  std::set<std::uint64_t> ended_{0};
  std::map<int, std::uint64_t> locks_;
  std::map<int, int> last_;
  std::vector<Row> rows_;
  std::vector<Logged> log_;
  std::size_t sent_ = 0;
  bool streaming_ = false;
  bool chaos_ = true;
  std::optional<std::vector<RecentEvents::Due>> asked_;
  std::vector<Sink> sinks_;
  int attached_reads_ = 0;
};

TEST(RecentEvents, nothing_is_lost_and_jobs_stay_in_order_whatever_happens) {
  int attached_reads = 0;
  for (unsigned seed = 1; seed <= 60 && !testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    world.run();
    attached_reads += world.attached_reads();
  }
  EXPECT_GT(attached_reads, 60 * 100) << "the sinks were hardly ever attached";
}

}  // namespace
}  // namespace await::relay
