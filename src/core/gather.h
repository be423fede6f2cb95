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
#include "core/told.h"

namespace await::core {

/// Wants one job. `done` gets the job, or null where it does not exist; the pointer is good during the
/// call only. Destroying the need cancels it.
class JobNeed : public Hook<> {
 public:
  using Row = Job;
  using Query = JobQuery;
  using Key = std::tuple<Uuid, int>;
  explicit JobNeed(Callback<Result<const Job *>> callback) : done(callback) {}
  Uuid id;
  Want want = Want::value;
  bool urgent = false;          ///< there is news: a herd's pause is not for it
  std::uint16_t batch_max = 0;  ///< Gather's: the largest batch it may join; 0: any
  Memory *memory = nullptr;     ///< asked first, and told afterwards; may be null
  bool from_memory = false;     ///< whether the job that is being given came from there
  Callback<Result<const Job *>> done;

  Key key() const { return {id, 0}; }
  Query query() const { return {id, want}; }
  void join(Query &other) const { other.want = std::max(other.want, want); }
  /// What signed hints say, if they say enough; null: read it.
  const Job *told(const Told &told) const {
    return want == Want::head || told.has_body() ? &told.job : nullptr;
  }
  static constexpr unsigned kCost = 8;  // of an answer: it takes a request
  std::optional<Job> remembered() const { return memory != nullptr ? memory->find(id, want) : std::nullopt; }
  void recalled(const Job &job) {
    from_memory = true;
    done(&job);
  }
  void remember(const Job *job) {
    from_memory = false;
    // mutant: remember-endings-only
    if (memory != nullptr && job != nullptr && is_ending(job->state))
      memory->keep(*job, want);
  }
  /// In heads: what a batch is limited by. A body has up to 64 KB.
  static std::size_t weight(const Query &query) { return query.want == Want::body ? 8 : 1; }
};

/// Wants a history's events after `after`; the same rules. Its page may begin earlier, for those who have
/// read nearly as far share one. Of a user's: exactly after `since`.
class EventNeed : public Hook<> {
 public:
  using Row = EventPage;
  using Query = EventQuery;
  using Key = std::tuple<Uuid, int, std::string>;
  explicit EventNeed(Callback<Result<const EventPage *>> callback) : done(callback) {}
  Uuid id;
  int after = 0;
  const Since *since = nullptr;  ///< core/place.h keeps it
  bool urgent = false;           ///< as above
  std::uint16_t batch_max = 0;   ///< as above
  Callback<Result<const EventPage *>> done;

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
  const EventPage *told(const Told &told) const {
    // mutant: proof-without-gap
    return told.first() <= after + 1 && told.last() > after ? &told.page : nullptr;
  }
  static constexpr unsigned kCost = 1;  // of an answer: a write
  static std::optional<EventPage> remembered() { return std::nullopt; }
  void recalled(const EventPage &) {}
  void remember(const EventPage *) {}

 private:
  static constexpr int kStride = 64;  // less than a page, so that everybody gets something new
};

/// Turns the needs of a round into one batched read: N watchers of a job are one row. A need never
/// joins a read that has begun before it, so what it gets is no older than its asking. Who comes alone is
/// read for at once, and so is who has news; in a herd of newcomers the next batch gathers for some
/// milliseconds.
///
/// A batch that PostgreSQL refuses for what stands in it (`invalid`) is halved until the bad row stands
/// alone: of n rows in at most 2·log2(n) + 1 statements for each bad one. Its askers get the error, everybody
/// else their rows; those who were in no such batch are read for meanwhile.
template <class Need>
class Gather {
 public:
  using Row = typename Need::Row;
  using Query = typename Need::Query;

  /// @param most  the weight of a batch: so many jobs, fewer where they bring their bodies
  Gather(Store &store, Wake &wake, std::size_t flights = 4, std::size_t most = 512)
      : store_(store), wake_(wake), most_(most) {
    for (std::size_t i = 0; i < flights; ++i)
      flights_.push_back(std::make_unique<Flight>(*this));
  }

  void add(Need &need) {
    need.batch_max = 0;
    // mutant: no-late-joining
    fresh_.push_back(need);
    urgent_ = urgent_ || need.urgent;
    wake_.wake();
  }

  /// A failover: what was read before it must not be answered after it.
  void history_changed() {
    for (auto &flight : flights_) {
      if (!flight->rows)
        continue;
      waiting_.take_all(flight->needs);
      flight->found.clear();
      flight->rows.reset();
    }
    wake_if_needed();
  }

  void run(std::int64_t now_ms) {
    for (auto &flight : flights_) {
      if (flight->has_landed())
        deliver(*flight);
    }
    recall();
    // mutant: halves-are-sent
    sift();
    if (waiting_.empty())
      return;
    if (now_ms < not_before_ms_ && !urgent_) {
      wake_.wake_in(not_before_ms_ - now_ms);
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
    explicit Flight(Gather &gather) : owner(gather) {}
    void landed(Result<std::vector<Row>> rows) { owner.landed(*this, std::move(rows)); }
    bool has_landed() const { return rows || failure; }
    bool is_free() const { return !reply.waiting() && !has_landed(); }
    Gather &owner;
    std::map<typename Need::Key, std::size_t> index;
    std::map<typename Need::Key, const Row *> found;
    List<Need> needs;
    std::optional<std::vector<Row>> rows;  // has landed; its needs are answered a slice a round
    std::optional<Error> failure;          // or with this
    Reply<std::vector<Row>> reply = Reply<std::vector<Row>>::template to<&Flight::landed>(this);
  };

  static constexpr unsigned kBudget = 512;  // of answers in a round, as Hub has it

  /// How long the next batch of those who come anew gathers: who comes alone never waits, a herd is worth ten
  /// milliseconds.
  static std::int64_t pause_after(std::size_t needs) { return needs < 4 ? 0 : 10; }

  /// Answers those whose job is remembered.
  void recall() {
    List<Need> now;
    now.take_all(fresh_);
    while (Need *need = now.pop_front()) {
      auto known = need->remembered();
      if (known)
        need->recalled(*known);  // may destroy any of them, and bring new ones
      else
        waiting_.push_back(*need);
    }
  }

  /// Sends those of refused batches, in smaller ones. The last flight is left to the others, if there are
  /// several, so that nobody waits for what somebody else has asked.
  void sift() {
    std::size_t n = flights_.size() > 1 ? flights_.size() - 1 : 1;
    for (std::size_t i = 0; i < n && !suspects_.empty(); ++i) {
      if (flights_[i]->is_free())
        send(*flights_[i], suspects_);
    }
  }

  std::size_t send(Flight &flight, List<Need> &from) {
    std::vector<Query> queries;
    std::size_t weight = 0;
    std::size_t needs = 0;
    std::size_t rows = from.front()->batch_max;  // at most; 0: as many as weigh as much
    flight.index.clear();
    while (Need *need = from.front()) {
      bool is_full = weight >= most_ || (rows != 0 && (queries.size() >= rows || need->batch_max != rows));
      if (is_full && !flight.index.contains(need->key()))
        break;
      auto [at, fresh] = flight.index.try_emplace(need->key(), queries.size());
      if (fresh)
        queries.push_back(need->query());
      else
        need->join(queries[at->second]);
      weight += fresh ? Need::weight(queries.back()) : 0;
      flight.needs.push_back(*need);
      ++needs;
    }
    read(queries, flight.reply);
    return needs;
  }

  void landed(Flight &flight, Result<std::vector<Row>> rows) {
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
    std::vector<std::pair<std::size_t, Need *>> all;
    while (Need *need = flight.needs.pop_front()) {
      auto at = flight.index.find(need->key());  // it may want something else by now
      all.emplace_back(at == flight.index.end() ? flight.index.size() : at->second, need);
    }
    std::stable_sort(all.begin(), all.end(), [](auto &one, auto &other) { return one.first < other.first; });
    for (auto &[row, need] : all) {
      // mutant: halves-are-smaller
      need->batch_max = static_cast<std::uint16_t>((flight.index.size() + 1) / 2);
      // mutant: halves-are-kept
      suspects_.push_back(*need);
    }
    wake_.wake();
  }

  void wake_if_needed() {
    if (!waiting_.empty() || !suspects_.empty())
      wake_.wake();
  }

  /// As many as a round can bear: the others' requests come between.
  void deliver(Flight &flight) {
    for (unsigned cost = 0; cost < kBudget; cost += Need::kCost) {
      Need *need = flight.needs.pop_front();
      if (need == nullptr)
        break;
      if (flight.failure) {
        need->done(*flight.failure);  // may destroy any of them
        continue;
      }
      auto at = flight.found.find(need->key());
      const Row *row = at == flight.found.end() ? nullptr : at->second;
      need->remember(row);
      need->done(row);  // may destroy any of them
    }
    if (!flight.needs.empty()) {
      wake_.wake_in(0);
      return;
    }
    flight.found.clear();
    flight.rows.reset();
    flight.failure.reset();
    wake_if_needed();
  }

  void read(std::span<const Query> queries, Reply<std::vector<Row>> &reply);
  static void place(Flight &flight, const std::vector<Row> &rows,
                    std::map<typename Need::Key, const Row *> &found);

  Store &store_;
  Wake &wake_;
  std::size_t most_;
  std::int64_t not_before_ms_ = 0;
  bool urgent_ = false;  // somebody who waits is
  List<Need> fresh_;     // since the last run
  List<Need> waiting_;
  List<Need> suspects_;  // one of them may be what PostgreSQL refuses
  std::vector<std::unique_ptr<Flight>> flights_;
};

template <>
inline void Gather<JobNeed>::read(std::span<const JobQuery> queries, Reply<std::vector<Job>> &reply) {
  store_.jobs(queries, reply);
}
template <>
inline void Gather<JobNeed>::place(Flight &, const std::vector<Job> &rows,
                                   std::map<JobNeed::Key, const Job *> &found) {
  for (const Job &job : rows)
    found[{job.id, 0}] = &job;
}
template <>
inline void Gather<EventNeed>::read(std::span<const EventQuery> queries,
                                    Reply<std::vector<EventPage>> &reply) {
  store_.events(queries, reply);
}
template <>
inline void Gather<EventNeed>::place(Flight &flight, const std::vector<EventPage> &pages,
                                     std::map<EventNeed::Key, const EventPage *> &found) {
  for (const auto &[key, at] : flight.index) {
    if (at < pages.size() && pages[at].last_seq > 0)
      found[key] = &pages[at];
  }
}

}  // namespace await::core
