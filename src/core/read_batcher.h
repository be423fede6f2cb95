#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/ports.h"
#include "core/verified_update.h"

namespace await::core {

/// Wants one job. `done` gets the job, or null where it does not exist; the pointer is good during the
/// call only. Destroying the read cancels it.
class JobRead : public Hook<> {
 public:
  using Row = Job;
  using Query = JobQuery;
  using Key = std::tuple<Uuid, int>;
  explicit JobRead(Callback<Result<const Job *>> callback) : on_row(callback) {}
  Uuid id;
  ResultDetail detail = ResultDetail::json_value;
  bool urgent = false;             ///< there is news: a herd's pause is not for it
  std::uint16_t batch_max = 0;     ///< Gather's: the largest batch it may join; 0: any
  EndedJobCache *cache = nullptr;  ///< asked first, and told afterwards; may be null
  bool from_cache = false;         ///< whether the job that is being given came from there
  Callback<Result<const Job *>> on_row;

  Key key() const { return {id, 0}; }
  Query query() const { return {id, detail}; }
  void join(Query &other) const { other.detail = std::max(other.detail, detail); }
  /// What signed hints say, if they say enough; null: read it.
  const Job *row_of(const VerifiedUpdate &update) const {
    return detail == ResultDetail::none || update.has_body() ? &update.job : nullptr;
  }
  static constexpr unsigned kCost = 8;  // of an answer: it takes a request
  std::optional<Job> cached() const { return cache != nullptr ? cache->find(id, detail) : std::nullopt; }
  void on_cached(const Job &job) {
    from_cache = true;
    on_row(&job);
  }
  void store_in_cache(const Job *job) {
    from_cache = false;
    // mutant: remember-endings-only
    if (cache != nullptr && job != nullptr && is_ending(job->state))
      cache->keep(*job, detail);
  }
  /// In heads: what a batch is limited by. A body has up to 64 KB.
  static std::size_t weight(const Query &query) { return query.detail == ResultDetail::body ? 8 : 1; }
};

/// Wants a history's events after `after`; the same rules. Its page may begin earlier, for those who have
/// read nearly as far share one. Of a user's: exactly after `since`.
class EventRead : public Hook<> {
 public:
  using Row = EventPage;
  using Query = EventQuery;
  using Key = std::tuple<Uuid, int, std::string>;
  explicit EventRead(Callback<Result<const EventPage *>> callback) : on_row(callback) {}
  Uuid id;
  int after = 0;
  const SnapshotCursor *since = nullptr;  ///< core/position.h keeps it
  bool urgent = false;                    ///< as above
  std::uint16_t batch_max = 0;            ///< as above
  Callback<Result<const EventPage *>> on_row;

  Key key() const {
    if (since == nullptr)
      return {id, after / kStride, {}};
    return {id, 0, since->seen.text + "|" + since->reading.text + "|" + std::to_string(since->eid)};
  }
  Query query() const { return {id, after, since != nullptr ? std::optional(*since) : std::nullopt}; }
  // mutant: shared-read-from-lowest
  void join(Query &other) const { other.after = std::min(other.after, after); }
  static std::size_t weight(const Query &) { return 1; }
  /// The events that are due next, or null.
  const EventPage *row_of(const VerifiedUpdate &update) const {
    // mutant: proof-without-gap
    return update.first() <= after + 1 && update.last() > after ? &update.page : nullptr;
  }
  static constexpr unsigned kCost = 1;  // of an answer: a write
  static std::optional<EventPage> cached() { return std::nullopt; }
  void on_cached(const EventPage &) {}
  void store_in_cache(const EventPage *) {}

 private:
  static constexpr int kStride = 64;  // less than a page, so that everybody gets something new
};

/// Turns the reads of a round into one batched read: N watchers of a job are one row. A read never
/// joins a read that has begun before it, so what it gets is no older than its asking. Who comes alone is
/// read for at once, and so is who has news; in a herd of newcomers the next batch gathers for some
/// milliseconds.
///
/// A batch that PostgreSQL refuses for what stands in it (`invalid`) is halved until the bad row stands
/// alone: of n rows in at most 2·log2(n) + 1 statements for each bad one. Its askers get the error, everybody
/// else their rows; those who were in no such batch are read for meanwhile.
template <class Read>
class ReadBatcher {
 public:
  using Row = typename Read::Row;
  using Query = typename Read::Query;

  /// @param most  the weight of a batch: so many jobs, fewer where they bring their bodies
  ReadBatcher(Store &store, Scheduler &scheduler, std::size_t flights = 4, std::size_t most = 512)
      : store_(store), scheduler_(scheduler), most_(most) {
    for (std::size_t i = 0; i < flights; ++i)
      flights_.push_back(std::make_unique<Flight>(*this));
  }

  void add(Read &read) {
    read.batch_max = 0;
    // mutant: no-late-joining
    fresh_.push_back(read);
    urgent_ = urgent_ || read.urgent;
    scheduler_.run_soon();
  }

  /// A failover: what was read before it must not be answered after it.
  void history_changed() {
    for (auto &flight : flights_) {
      if (!flight->rows)
        continue;
      waiting_.take_all(flight->reads);
      flight->found.clear();
      flight->rows.reset();
    }
    wake_if_needed();
  }

  void run(std::int64_t now_ms) {
    for (auto &flight : flights_) {
      if (flight->has_result())
        deliver(*flight);
    }
    answer_from_cache();
    // mutant: halves-are-sent
    send_suspects();
    if (waiting_.empty())
      return;
    if (now_ms < not_before_ms_ && !urgent_) {
      scheduler_.run_after(not_before_ms_ - now_ms);
      return;
    }
    for (auto &flight : flights_) {
      if (!flight->is_free())
        continue;
      std::size_t n = send(*flight, waiting_);
      not_before_ms_ = now_ms + pause_after(n);
      urgent_ = urgent_ && !waiting_.empty();
      if (waiting_.empty())
        return;  // else that batch was full, and the next one is
    }
  }

 private:
  struct Flight {
    explicit Flight(ReadBatcher &gather) : owner(gather) {}
    void on_rows(Result<std::vector<Row>> rows) { owner.on_rows(*this, std::move(rows)); }
    bool has_result() const { return rows || failure; }
    bool is_free() const { return !reply.waiting() && !has_result(); }
    ReadBatcher &owner;
    std::map<typename Read::Key, std::size_t> index;
    std::map<typename Read::Key, const Row *> found;
    List<Read> reads;
    std::optional<std::vector<Row>> rows;  // has on_rows; its reads are answered a slice a round
    std::optional<Error> failure;          // or with this
    Reply<std::vector<Row>> reply = Reply<std::vector<Row>>::template to<&Flight::on_rows>(this);
  };

  static constexpr unsigned kBudget = 512;  // of answers in a round, as Hub has it

  /// How long the next batch of those who come anew gathers: who comes alone never waits, a herd is worth ten
  /// milliseconds.
  static std::int64_t pause_after(std::size_t reads) { return reads < 4 ? 0 : 10; }

  /// Answers those whose job is remembered.
  void answer_from_cache() {
    List<Read> now;
    now.take_all(fresh_);
    while (Read *read = now.pop_front()) {
      auto known = read->cached();
      if (known)
        read->on_cached(*known);  // may destroy any of them, and bring new ones
      else
        waiting_.push_back(*read);
    }
  }

  /// Sends those of refused batches, in smaller ones. The last flight is left to the others, if there are
  /// several, so that nobody waits for what somebody else has asked.
  void send_suspects() {
    std::size_t n = flights_.size() > 1 ? flights_.size() - 1 : 1;
    for (std::size_t i = 0; i < n && !suspects_.empty(); ++i) {
      if (flights_[i]->is_free())
        send(*flights_[i], suspects_);
    }
  }

  std::size_t send(Flight &flight, List<Read> &from) {
    std::vector<Query> queries;
    std::size_t weight = 0;
    std::size_t reads = 0;
    std::size_t rows = from.front()->batch_max;  // at most; 0: as many as weigh as much
    flight.index.clear();
    while (Read *read = from.front()) {
      bool is_full = weight >= most_ || (rows != 0 && (queries.size() >= rows || read->batch_max != rows));
      if (is_full && !flight.index.contains(read->key()))
        break;
      auto [at, fresh] = flight.index.try_emplace(read->key(), queries.size());
      if (fresh)
        queries.push_back(read->query());
      else
        read->join(queries[at->second]);
      weight += fresh ? Read::weight(queries.back()) : 0;
      flight.reads.push_back(*read);
      ++reads;
    }
    send_query(queries, flight.reply);
    return reads;
  }

  void on_rows(Flight &flight, Result<std::vector<Row>> rows) {
    wake_if_needed();
    // mutant: refused-read-is-halved
    if (!rows && rows.error().code == Code::invalid && flight.index.size() > 1) {
      halve(flight);
      return;
    }
    if (rows) {
      flight.rows = std::move(*rows);
      place(flight, *flight.rows, flight.found);
    } else {
      flight.failure = rows.error();
    }
    deliver(flight);
  }

  /// One of its rows is bad: all of them again, those of a row together, in batches half as large.
  void halve(Flight &flight) {
    std::vector<std::pair<std::size_t, Read *>> all;
    while (Read *read = flight.reads.pop_front()) {
      auto at = flight.index.find(read->key());  // it may detail something else by now
      all.emplace_back(at == flight.index.end() ? flight.index.size() : at->second, read);
    }
    std::stable_sort(all.begin(), all.end(), [](auto &one, auto &other) { return one.first < other.first; });
    for (auto &[row, read] : all) {
      // mutant: halves-are-smaller
      read->batch_max = static_cast<std::uint16_t>((flight.index.size() + 1) / 2);
      // mutant: halves-are-kept
      suspects_.push_back(*read);
    }
    scheduler_.run_soon();
  }

  void wake_if_needed() {
    if (!waiting_.empty() || !suspects_.empty())
      scheduler_.run_soon();
  }

  /// As many as a round can bear: the others' requests come between.
  void deliver(Flight &flight) {
    for (unsigned cost = 0; cost < kBudget; cost += Read::kCost) {
      Read *read = flight.reads.pop_front();
      if (read == nullptr)
        break;
      if (flight.failure) {
        read->on_row(*flight.failure);  // may destroy any of them
        continue;
      }
      auto at = flight.found.find(read->key());
      const Row *row = at == flight.found.end() ? nullptr : at->second;
      read->store_in_cache(row);
      read->on_row(row);  // may destroy any of them
    }
    if (!flight.reads.empty()) {
      scheduler_.run_after(0);
      return;
    }
    flight.found.clear();
    flight.rows.reset();
    flight.failure.reset();
    wake_if_needed();
  }

  void send_query(std::span<const Query> queries, Reply<std::vector<Row>> &reply);
  static void place(Flight &flight, const std::vector<Row> &rows,
                    std::map<typename Read::Key, const Row *> &found);

  Store &store_;
  Scheduler &scheduler_;
  std::size_t most_;
  std::int64_t not_before_ms_ = 0;
  bool urgent_ = false;  // somebody who waits is
  List<Read> fresh_;     // since the last run
  List<Read> waiting_;
  List<Read> suspects_;  // one of them may be what PostgreSQL refuses
  std::vector<std::unique_ptr<Flight>> flights_;
};

template <>
inline void ReadBatcher<JobRead>::send_query(std::span<const JobQuery> queries,
                                             Reply<std::vector<Job>> &reply) {
  store_.jobs(queries, reply);
}
template <>
inline void ReadBatcher<JobRead>::place(Flight &, const std::vector<Job> &rows,
                                        std::map<JobRead::Key, const Job *> &found) {
  for (const Job &job : rows)
    found[{job.id, 0}] = &job;
}
template <>
inline void ReadBatcher<EventRead>::send_query(std::span<const EventQuery> queries,
                                               Reply<std::vector<EventPage>> &reply) {
  store_.events(queries, reply);
}
template <>
inline void ReadBatcher<EventRead>::place(Flight &flight, const std::vector<EventPage> &pages,
                                          std::map<EventRead::Key, const EventPage *> &found) {
  for (const auto &[key, at] : flight.index) {
    if (at < pages.size() && pages[at].last_seq > 0)
      found[key] = &pages[at];
  }
}

}  // namespace await::core
