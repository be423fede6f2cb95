#include "core/batch_news.h"

#include <algorithm>

#include "core/kind.h"

namespace await::core {

void BatchNews::add(BatchCache &cache) {
  caches_.push_back(&cache);
  known_.resize(kKnown);
}

BatchNews::Known &BatchNews::known(const Uuid &id) { return known_[std::hash<Uuid>()(id) % kKnown]; }

/// A job or batch has the event `seq`. Once for each: what was read later than the first time includes it.
void BatchNews::learn(const Uuid &id, int seq, const Uuid &batch) {
  if (caches_.empty())
    return;
  Known &last = known(id);
  if (last.id == id && last.seq >= seq)
    return;
  last = {id, seq};
  on_change(batch);
}

void BatchNews::on_row(const Job &job) {
  if (caches_.empty())
    return;
  if (kind_of(job.id) == Kind::batch)
    on_event(job.id, job.seq);
  else if (auto batch = job.batch ? Uuid::parse(*job.batch) : std::nullopt)
    learn(job.id, job.seq, *batch);
}

void BatchNews::on_row(const EventPage &page) {
  if (caches_.empty())
    return;
  if (kind_of(page.job) == Kind::batch && page.last_seq > 0)
    on_event(page.job, page.last_seq);
  for (const Event &event : page.events) {
    if (event.origin && kind_of(event.origin->job) == Kind::batch)
      on_event(event.origin->job, event.seq);
  }
}

void BatchNews::on_row(const JobPage &page) {
  for (const Job &job : page.entries)
    on_row(job);
}

void BatchNews::on_row(const BatchPage &page) {
  for (const Batch &batch : page.entries)
    on_event(batch.id, batch.seq);
}

void BatchNews::on_hint(const Uuid &batch, int seq) {
  if (caches_.empty() || kind_of(batch) != Kind::batch)
    return;
  const Known &last = known(batch);  // not changed: the hint may be forged
  if (seq == 0 || last.id != batch || last.seq < seq)
    on_change(batch);
}

void BatchNews::on_change(const Uuid &batch) {
  for (BatchCache *cache : caches_)
    cache->outdate(batch);
}

void BatchNews::on_document(const BatchQuery &query, const BatchDocument &document, BatchCache *cache,
                            const BatchReadStart &start, std::int64_t open_ms) {
  for (BatchCache *one : caches_)
    one->keep(query, document, one == cache ? std::optional(start) : std::nullopt, open_ms);
  if (caches_.empty())
    return;
  Known &last = known(query.id);
  last = {query.id, last.id == query.id ? std::max(last.seq, document.batch.seq) : document.batch.seq};
}

void BatchNews::watch(const Uuid &batch, std::int64_t until_ms) {
  auto at = watches_.find(batch);
  if (at == watches_.end()) {
    if (watches_.size() >= kMostWatches)
      return;  // documents of this batch are valid for their time only
    at = watches_.emplace(batch, std::make_unique<Watch>(*this, batch)).first;
    hub_.listen(batch, *at->second);
  }
  at->second->until_ms = std::max(at->second->until_ms, until_ms);
}

void BatchNews::sweep(std::int64_t now_ms) {
  std::erase_if(watches_, [now_ms](const auto &one) { return one.second->until_ms < now_ms; });
}

void BatchNews::on_history_changed() { std::fill(known_.begin(), known_.end(), Known()); }

}  // namespace await::core
