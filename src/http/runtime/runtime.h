#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "core/batch_news.h"
#include "core/batch_reads.h"
#include "core/hub.h"
#include "core/kind.h"
#include "core/list_read.h"
#include "core/read_batcher.h"
#include "core/reread.h"
#include "core/retry_queue.h"
#include "core/submit_batcher.h"
#include "core/subscription.h"
#include "core/ticket_batcher.h"
#include "core/watcher.h"
#include "http/conf/conf.h"
#include "http/runtime/backends.h"
#include "http/runtime/console_feed.h"
#include "http/runtime/counters.h"
#include "http/runtime/delivery_log.h"
#include "http/runtime/flush.h"
#include "http/runtime/full_queues.h"
#include "http/runtime/heartbeats.h"
#include "http/runtime/hints.h"
#include "http/runtime/lifecycle.h"
#include "http/runtime/node_report.h"
#include "http/runtime/queue_cache.h"
#include "http/runtime/refusals.h"
#include "http/runtime/signing_keys.h"
#include "http/runtime/zone_cache.h"
#include "io/random.h"
#include "ngx/log.h"
#include "ngx/loop.h"

namespace await::http {

/// Everything that lives as long as the nginx worker: creates the parts, connects them, and runs them. Exists
/// only if a location uses a directive of this module that needs it.
class Runtime : private core::Scheduler, private Backends::Observer {
 public:
  Runtime(ngx_cycle_t *cycle, const MainConf &conf);

  Counters &counters() { return counters_; }
  io::Random &random() { return random_; }
  Backends &backends() { return backends_; }
  SigningKeys &keys() { return keys_; }
  QueueCache &queues() { return queues_; }
  ConsoleFeed &console() { return console_; }
  DeliveryLog &deliveries() { return deliveries_; }
  NodeReport &node_report() { return node_report_; }
  Lifecycle &lifecycle() { return lifecycle_; }
  Refusals &refusals() { return refusals_; }
  FullQueues &full_queues() { return full_queues_; }
  Heartbeats &heartbeats() { return heartbeats_; }
  UserHints &user_hints() { return user_hints_; }
  core::Hub &hub() { return hub_; }
  core::SubmitBatcher &submissions() { return submissions_; }
  core::TicketBatcher &ticket_uses() { return ticket_uses_; }
  core::ReadServices<core::JobRead> &job_services() { return job_services_; }
  core::ReadBatcher<core::ListRead<core::JobPage>> &reads_of(const core::ListRead<core::JobPage> &) {
    return job_list_reads_;
  }
  core::ReadBatcher<core::ListRead<core::BatchPage>> &reads_of(const core::ListRead<core::BatchPage> &) {
    return batch_list_reads_;
  }
  /// To subscribe to this id. Events of users take longer to read, so they are read apart from the others.
  core::SubscriptionServices &event_services(const Uuid &id) {
    return core::kind_of(id) == core::Kind::user ? user_event_services_ : event_services_;
  }
  /// What is cached in this zone; null for null.
  ZoneCache *cache(ngx_shm_zone_t *zone);
  core::BatchReads &batch_reads() { return batch_reads_; }
  core::BatchNews &batch_news() { return batch_news_; }
  /// How many clients watch a job or another channel.
  std::size_t held() const { return hub_.listeners() - batch_news_.watches(); }

  /// Milliseconds of a clock that never goes back.
  std::int64_t now_ms() const { return loop_.monotonic_ms(); }
  /// now_ms() at this Unix time, in seconds; 0 for 0.
  std::int64_t ms_at(std::int64_t unix_s) const {
    return unix_s == 0 ? 0 : now_ms() + unix_s * 1000 - loop_.unix_ms();
  }
  /// Sends the hints of the newest event of a job, or of a batch, to who watches it or its owner.
  void publish_newest(const core::Job &job);
  /// Calls `flush` once, at the end of this iteration of the event loop.
  void flush_soon(Flush &flush);
  /// Brings the gauges of this nginx worker up to date.
  void sample_gauges();

 private:
  class RunTask : public io::Task {
   public:
    explicit RunTask(Runtime &runtime) : runtime_(runtime) {}
    void run() noexcept override { runtime_.run(); }

   private:
    Runtime &runtime_;
  };

  void run_soon() override;
  void run_after(std::int64_t ms) override;
  void run();
  void on_reader_connected() override { reread_.reset(); }
  void on_history_changed() override;
  void on_keys(const pg::Hello &hello) override { keys_.on_greeting(hello); }
  void on_reader_greeting() override;
  void on_reread();
  void on_second();

  // Destroyed in reverse order: whatever uses a part stands below it.
  Counters counters_;
  ngx::Loop loop_;
  ngx::Log log_;
  io::Random random_;
  Refusals refusals_{loop_, log_};
  Backends backends_;
  SigningKeys keys_;
  QueueCache queues_;
  ConsoleFeed console_;
  DeliveryLog deliveries_;
  FullQueues full_queues_;
  core::Hub hub_{backends_.bus(), *this};
  NodeReport node_report_;
  Lifecycle lifecycle_;
  core::BatchNews batch_news_{hub_};
  Hints hints_{hub_, keys_, lifecycle_, batch_news_};
  UserHints user_hints_{backends_.bus(), *this};
  std::map<ngx_shm_zone_t *, ZoneCache> caches_;
  core::SubmitBatcher submissions_;
  core::TicketBatcher ticket_uses_{backends_.access_store(), *this};
  core::RetryQueue retries_{*this};
  core::ReadBatcher<core::JobRead> job_reads_{backends_.store(), *this};
  core::ReadBatcher<core::EventRead> event_reads_{backends_.store(), *this};
  core::ReadBatcher<core::EventRead> user_event_reads_;
  // a page takes longer than a job: few at a time, so that what is read behind them does not wait long
  core::ReadBatcher<core::ListRead<core::JobPage>> job_list_reads_{backends_.store(), *this, 1, 8};
  core::ReadBatcher<core::ListRead<core::BatchPage>> batch_list_reads_{backends_.store(), *this, 1, 8};
  core::BatchReads batch_reads_{backends_.batches(), *this, batch_news_};
  core::ReadServices<core::JobRead> job_services_{hub_, retries_, job_reads_};
  core::SubscriptionServices event_services_{
      {hub_, retries_, event_reads_}, backends_.timeline(), keys_.cursor_keys()};
  core::SubscriptionServices user_event_services_{
      {hub_, retries_, user_event_reads_}, backends_.timeline(), keys_.cursor_keys()};
  core::Reread reread_{backends_.store(), hub_, {}};
  std::int64_t reread_ms_;
  std::int64_t reread_at_ms_ = 0;  // when a round was last seen to be done
  std::uint64_t reread_rounds_ = 0;
  Heartbeats heartbeats_;
  List<Flush, Flush> flushes_;
  RunTask run_task_{*this};
  std::int64_t run_due_ms_ = 0;  // while the timer runs
  std::unique_ptr<io::Timer> run_timer_;
  std::unique_ptr<io::Timer> reread_timer_;
};

/// The runtime of this nginx worker; null if it has none. For the entry points that nginx calls; everything
/// below them gets a reference.
Runtime *runtime();
ngx_int_t start_runtime(ngx_cycle_t *cycle);
void end_runtime(ngx_cycle_t *cycle);

}  // namespace await::http
