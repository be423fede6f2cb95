#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/batch_cache.h"
#include "core/hub.h"
#include "core/job_list.h"

namespace await::core {

/// What this nginx worker learns about batches and their jobs, for the caches of batch documents: what may be
/// stored is outdated before any client is told anything newer. Also watches, for the caches, the batches
/// whose documents it has read, so that hints outdate them even if no client watches.
class BatchNews {
 public:
  explicit BatchNews(Hub &hub) : hub_(hub) {}

  /// Call for each cache of the configuration, before anything else.
  void add(BatchCache &cache);

  /// Committed: a batch has the event `seq`.
  void on_event(const Uuid &batch, int seq) { learn(batch, seq, batch); }
  // what was read from the database, or proved by a signed hint
  void on_row(const Job &job);
  void on_row(const EventPage &page);
  void on_row(const JobPage &page);
  void on_row(const BatchPage &page);
  /// A hint, which may be false: a batch may have this event (0: unknown).
  void on_hint(const Uuid &batch, int seq);
  /// This nginx worker has changed a batch, as by adding a job.
  void on_change(const Uuid &batch);
  /// A document was read, and clients will be answered with it.
  /// @param start  with what the read began for `cache`, which stores it
  void on_document(const BatchQuery &query, const BatchDocument &document, BatchCache *cache,
                   const BatchReadStart &start, std::int64_t open_ms);

  /// Watches a batch for the caches until then. Call before a document is read.
  void watch(const Uuid &batch, std::int64_t until_ms);
  /// Ends watches whose time is over.
  void sweep(std::int64_t now_ms);
  /// The listeners of the hub that are no clients.
  std::size_t watches() const { return watches_.size(); }
  /// After a failover: the numbers of events are others.
  void on_history_changed();

 private:
  struct Watch : Listener {
    Watch(BatchNews &news, const Uuid &batch) : news(news), batch(batch) {}
    void on_hint(int seq) noexcept override { news.on_hint(batch, seq); }
    void on_history_changed() noexcept override {}
    bool is_client() const noexcept override { return false; }
    BatchNews &news;
    Uuid batch;
    std::int64_t until_ms = 0;
  };
  struct Known {
    Uuid id;
    int seq = 0;
  };

  static constexpr std::size_t kKnown = 4096;
  static constexpr std::size_t kMostWatches = 1024;

  Known &known(const Uuid &id);
  void learn(const Uuid &id, int seq, const Uuid &batch);

  Hub &hub_;
  std::vector<BatchCache *> caches_;
  std::vector<Known> known_;  // by a hash: the newest seq that is known of jobs and batches, and was told
  std::map<Uuid, std::unique_ptr<Watch>> watches_;
};

}  // namespace await::core
