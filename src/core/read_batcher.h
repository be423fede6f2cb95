#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "core/batch_news.h"
#include "core/ports.h"
#include "core/verified_update.h"

namespace await::core {

/// A read of one job. `on_row` gets the job, or null if it does not exist; the pointer is valid during the
/// call only. The callback may destroy the read. Destroying the read cancels it.
class JobRead : public Hook<> {
 public:
  using Row = Job;
  using Query = JobQuery;
  using Key = std::tuple<Uuid, int>;
  explicit JobRead(Callback<Result<const Job *>> callback) : on_row(callback) {}
  Uuid id;
  ResultDetail detail = ResultDetail::json_value;
  bool urgent = false;             ///< bypasses the batching delay, because something has changed
  std::uint16_t batch_max = 0;     ///< set by ReadBatcher: the largest batch that it may join; 0: any
  EndedJobCache *cache = nullptr;  ///< searched before the read, and filled after it; may be null
  bool from_cache = false;         ///< whether the job passed to on_row is from the cache
  Callback<Result<const Job *>> on_row;

  Key key() const { return {id, 0}; }
  Query query() const { return {id, detail}; }
  void join(Query &other) const { other.detail = std::max(other.detail, detail); }
  /// The job from a verified update; null if the update does not contain enough of it.
  const Job *row_of(const VerifiedUpdate &update) const {
    return detail == ResultDetail::none || update.has_body() ? &update.job : nullptr;
  }
  static constexpr unsigned kCost = 8;  // of a callback, which ends a request
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
  /// In rows without a body, of which a body of up to 64 KB counts as eight.
  static std::size_t weight(const Query &query) { return query.detail == ResultDetail::body ? 8 : 1; }
};

/// A read of the events of a channel after `after`, or of a user's channel after `since`. As JobRead, but the
/// page may begin earlier than `after`, because readers at nearly the same position share one.
class EventRead : public Hook<> {
 public:
  using Row = EventPage;
  using Query = EventQuery;
  using Key = std::tuple<Uuid, int, std::string>;
  explicit EventRead(Callback<Result<const EventPage *>> callback) : on_row(callback) {}
  Uuid id;
  int after = 0;
  const SnapshotCursor *since = nullptr;  ///< owned by the Position; null: not a user's channel
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
  /// The page of a verified update if it continues after `after`, otherwise null.
  const EventPage *row_of(const VerifiedUpdate &update) const {
    // mutant: proof-without-gap
    return update.first() <= after + 1 && update.last() > after ? &update.page : nullptr;
  }
  static constexpr unsigned kCost = 1;  // of a callback, which writes
  static std::optional<EventPage> cached() { return std::nullopt; }
  void on_cached(const EventPage &) {}
  void store_in_cache(const EventPage *) {}

 private:
  static constexpr int kStride = 64;  // less than a page, so that every reader gets new events
};

/// Combines the reads of one iteration of the event loop into one statement; reads of the same row share it.
/// A read never joins a statement that was sent before it, so its row is not older than the read. A single
/// read, and an urgent one, is sent at once; after a large batch, the next one is collected for some
/// milliseconds.
///
/// If PostgreSQL rejects a batch because of a value in it (`invalid`), the batch is halved until the invalid
/// row is alone: at most 2·log2(n) + 1 statements of n rows for each invalid one. Its reads get the error,
/// all others their rows. Other reads are sent meanwhile.
template <class Read>
class ReadBatcher {
 public:
  using Row = typename Read::Row;
  using Query = typename Read::Query;

  /// @param flights  the maximum number of statements in flight
  /// @param most  the maximum weight of a batch (Read::weight)
  ReadBatcher(Store &store, Scheduler &scheduler, std::size_t flights = 4, std::size_t most = 512)
      : store_(store), scheduler_(scheduler), most_(most) {
    for (std::size_t i = 0; i < flights; ++i)
      flights_.push_back(std::make_unique<Flight>(*this));
  }

  /// Tells `news` of each row, before a read is called back with it.
  void tell(BatchNews &news) { news_ = &news; }

  /// Adds a read. Calls back later, once, unless the read is destroyed or unlinked.
  void add(Read &read) {
    read.batch_max = 0;
    // mutant: no-late-joining
    fresh_.push_back(read);
    urgent_ = urgent_ || read.urgent;
    scheduler_.run_soon();
  }

  /// After a failover: rows that were read before it are read again.
  void on_history_changed() {
    for (auto &flight : flights_) {
      if (!flight->rows)
        continue;
      waiting_.take_all(flight->reads);
      flight->found.clear();
      flight->rows.reset();
    }
    wake_if_needed();
  }

  /// Called when the Scheduler runs. Sends batches, and delivers rows within a budget. May destroy reads.
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
        return;  // otherwise the batch was full
    }
  }

 private:
  struct Flight {
    explicit Flight(ReadBatcher &batcher) : owner(batcher) {}
    void on_rows(Result<std::vector<Row>> rows) { owner.on_rows(*this, std::move(rows)); }
    bool has_result() const { return rows || failure; }
    bool is_free() const { return !reply.waiting() && !has_result(); }
    ReadBatcher &owner;
    std::map<typename Read::Key, std::size_t> index;
    std::map<typename Read::Key, const Row *> found;
    List<Read> reads;
    std::optional<std::vector<Row>> rows;  // the result: its reads are called in portions
    std::optional<Error> failure;          // or this
    Reply<std::vector<Row>> reply = Reply<std::vector<Row>>::template to<&Flight::on_rows>(this);
  };

  static constexpr unsigned kBudget = 512;  // of callbacks in one iteration, as in Hub

  /// How long the next batch is collected, in milliseconds, after a batch of so many reads.
  static std::int64_t pause_after(std::size_t reads) { return reads < 4 ? 0 : 10; }

  /// Calls the reads whose row is cached.
  void answer_from_cache() {
    List<Read> now;
    now.take_all(fresh_);
    while (Read *read = now.pop_front()) {
      auto known = read->cached();
      if (known)
        read->on_cached(*known);  // may destroy any read, and add new ones
      else
        waiting_.push_back(*read);
    }
  }

  /// Sends the reads of rejected batches in smaller ones. If there are several flights, the last one is left
  /// to other reads, so that they do not wait for these.
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
    std::size_t rows = from.front()->batch_max;  // at most; 0: as the weight allows
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
      for (std::size_t i = 0; news_ != nullptr && i < rows->size(); ++i)
        news_->on_row((*rows)[i]);
      flight.rows = std::move(*rows);
      index_rows(flight, *flight.rows, flight.found);
    } else {
      flight.failure = rows.error();
    }
    deliver(flight);
  }

  /// One of its rows is invalid: sends all again in batches of half the size, with the reads of a row
  /// together.
  void halve(Flight &flight) {
    std::vector<std::pair<std::size_t, Read *>> all;
    while (Read *read = flight.reads.pop_front()) {
      auto at = flight.index.find(read->key());  // its row may have changed since
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

  /// Calls reads within kBudget; the rest in the next iteration.
  void deliver(Flight &flight) {
    for (unsigned cost = 0; cost < kBudget; cost += Read::kCost) {
      Read *read = flight.reads.pop_front();
      if (read == nullptr)
        break;
      if (flight.failure) {
        read->on_row(*flight.failure);  // may destroy any read
        continue;
      }
      auto at = flight.found.find(read->key());
      const Row *row = at == flight.found.end() ? nullptr : at->second;
      read->store_in_cache(row);
      // mutant: absent-row-is-answered
      read->on_row(row);  // may destroy any read
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
  static void index_rows(Flight &flight, const std::vector<Row> &rows,
                         std::map<typename Read::Key, const Row *> &found);

  Store &store_;
  Scheduler &scheduler_;
  BatchNews *news_ = nullptr;
  std::size_t most_;
  std::int64_t not_before_ms_ = 0;
  bool urgent_ = false;  // one of the waiting reads is
  List<Read> fresh_;     // added since the last run
  List<Read> waiting_;
  List<Read> suspects_;  // one of them has the invalid value
  std::vector<std::unique_ptr<Flight>> flights_;
};

template <>
inline void ReadBatcher<JobRead>::send_query(std::span<const JobQuery> queries,
                                             Reply<std::vector<Job>> &reply) {
  store_.jobs(queries, reply);
}
template <>
inline void ReadBatcher<JobRead>::index_rows(Flight &, const std::vector<Job> &rows,
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
inline void ReadBatcher<EventRead>::index_rows(Flight &flight, const std::vector<EventPage> &pages,
                                               std::map<EventRead::Key, const EventPage *> &found) {
  for (const auto &[key, at] : flight.index) {
    if (at < pages.size() && pages[at].last_seq > 0)
      found[key] = &pages[at];
  }
}

}  // namespace await::core
