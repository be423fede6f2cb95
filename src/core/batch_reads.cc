#include "core/batch_reads.h"

#include <algorithm>

namespace await::core {

/// Replies come in the order of the calls: this is the second.
void BatchReads::Flight::on_jobs(Result<std::vector<Job>> page) {
  if (!batch || !page)
    outcome.emplace(batch ? page.error() : batch.error());
  else if (!*batch)
    outcome.emplace(std::optional<BatchDocument>());
  else
    outcome.emplace(BatchDocument{std::move(**batch), std::move(*page)});
  if (*outcome && **outcome)
    owner.news_.on_document(key.first, ***outcome, key.second, start, open_ms);
  owner.scheduler_.run_soon();
}

void BatchReads::run(std::int64_t now_ms) {
  unsigned budget = kBudget;
  for (auto at = flights_.begin(); at != flights_.end();) {
    Flight &flight = *at->second;
    if (flight.outcome && deliver(flight, budget)) {
      fresh_.take_all(flight.next);
      at = flights_.erase(at);
    } else {
      ++at;
    }
  }
  sort_fresh();
  while (!waiting_.empty() && flights_.size() < kMostFlights)
    send(*waiting_.front(), now_ms);
  if (!fresh_.empty() || budget == 0)
    scheduler_.run_after(0);
}

/// Answers from the cache what can be; the others wait.
void BatchReads::sort_fresh() {
  List<BatchRead> now;
  now.take_all(fresh_);
  while (BatchRead *read = now.pop_front()) {
    bool searched = read->from_cache && read->cache != nullptr;
    auto found = searched ? read->cache->find(read->query, read->open_ms) : std::nullopt;
    if (found && found->batch.seq >= read->least_seq) {
      read->on_document(&*found);  // may destroy any read, and add new ones
      continue;
    }
    auto flight = flights_.find({read->query, read->cache});
    if (flight != flights_.end())
      flight->second->next.push_back(*read);
    else
      waiting_.push_back(*read);
  }
}

/// Sends the statement for a read, and for all that wait for the same document.
void BatchReads::send(BatchRead &first, std::int64_t now_ms) {
  Key key{first.query, first.cache};
  List<BatchRead> rest;
  rest.take_all(waiting_);
  std::int64_t open_ms = 0;
  List<BatchRead> same;
  while (BatchRead *read = rest.pop_front()) {
    bool joins = Key{read->query, read->cache} == key;
    open_ms = joins ? std::max(open_ms, read->open_ms) : open_ms;
    (joins ? same : waiting_).push_back(*read);
  }
  if (key.second != nullptr && open_ms > 0)
    news_.watch(key.first.id, now_ms + open_ms);  // before the read: nothing is missed
  auto start = key.second != nullptr ? key.second->start(key.first.id) : BatchReadStart{};
  Flight &flight = *flights_.emplace(key, std::make_unique<Flight>(*this, key, start)).first->second;
  flight.open_ms = open_ms;
  flight.reads.take_all(same);
  batches_.batch(key.first.id, flight.batch_reply);
  batches_.jobs_of(key.first.id, key.first.after, key.first.limit + 1, flight.jobs_reply);
}

/// Whether all reads of the flight were called.
bool BatchReads::deliver(Flight &flight, unsigned &budget) {
  while (!flight.reads.empty() && budget >= kCost) {
    budget -= kCost;
    BatchRead &read = *flight.reads.pop_front();
    read.from_cache = false;
    auto &outcome = *flight.outcome;
    if (!outcome)
      read.on_document(outcome.error());  // may destroy any read
    else
      read.on_document(*outcome ? &**outcome : nullptr);
  }
  if (flight.reads.empty())
    return true;
  budget = 0;
  return false;
}

void BatchReads::on_history_changed() {
  for (auto at = flights_.begin(); at != flights_.end();) {
    if (!at->second->outcome) {
      ++at;
      continue;
    }
    fresh_.take_all(at->second->reads);
    fresh_.take_all(at->second->next);
    at = flights_.erase(at);
  }
  if (!fresh_.empty())
    scheduler_.run_soon();
}

}  // namespace await::core
