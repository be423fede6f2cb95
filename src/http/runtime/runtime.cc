#include "http/runtime/runtime.h"

#include <algorithm>
#include <utility>

#include "base/siphash.h"
#include "ngx/guard.h"

namespace await::http {
namespace {

std::unique_ptr<Runtime> the_runtime;

constexpr std::int64_t kReadMs = 2000;   // a read and a sample of the gauges take no longer
constexpr std::size_t kUserFlights = 2;  // batches of reads on their way
constexpr std::size_t kUserBatch = 64;   // users in one

core::SubmitBatcher::Limits limits(const MainConf &conf) {
  core::SubmitBatcher::Limits out;
  out.rows = static_cast<std::size_t>(conf.batch_rows);
  out.flights = static_cast<std::size_t>(conf.batch_flights);
  return out;
}

}  // namespace

Runtime::Runtime(ngx_cycle_t *cycle, const MainConf &conf)
    : counters_(conf.counters),
      loop_(cycle->log),
      log_(cycle->log),
      backends_(loop_, log_, random_, conf, counters_, *this),
      keys_(loop_, backends_, static_cast<std::int64_t>(conf.reread)),
      queues_(loop_, backends_, conf.queues),
      console_(loop_, backends_, conf.console),
      deliveries_(backends_, counters_, *conf.deliveries),
      node_report_(loop_, backends_, counters_, random_, hub_, deliveries_, *conf.node),
      lifecycle_(loop_, counters_, backends_.access_store(), static_cast<std::int64_t>(conf.drain)),
      submissions_(backends_.store(), backends_.bus(), *this, limits(conf)),
      user_event_reads_(backends_.store(), *this, kUserFlights, kUserBatch),
      reread_ms_(static_cast<std::int64_t>(conf.reread)),
      heartbeats_(loop_, [this] { on_second(); }),
      run_timer_(loop_.timer([this] { run(); }, io::Loop::Quit::must_not)),
      reread_timer_(loop_.timer([this] { on_reread(); }, io::Loop::Quit::may)) {
  for (ngx_shm_zone_t *zone : cache_zones(conf)) {
    auto [at, fresh] = caches_.try_emplace(zone, zone, loop_, backends_.timeline(), counters_);
    if (fresh)
      batch_news_.add(at->second);
  }
  job_reads_.tell(batch_news_);
  event_reads_.tell(batch_news_);
  user_event_reads_.tell(batch_news_);
  job_list_reads_.tell(batch_news_);
  batch_list_reads_.tell(batch_news_);
  backends_.start(hints_);
  // the periodic reads of nginx workers are at different moments
  reread_timer_->set(static_cast<std::int64_t>(static_cast<double>(reread_ms_) * (0.5 + random_.unit() / 2)));
}

void Runtime::run_soon() {
  if (!run_task_.linked())
    loop_.post(run_task_);
}

void Runtime::run_after(std::int64_t ms) {
  if (ms <= 0) {
    if (!run_task_.linked())
      loop_.post_next(run_task_);
    return;
  }
  if (run_timer_->pending() && run_due_ms_ <= now_ms() + ms)
    return;
  run_due_ms_ = now_ms() + ms;
  run_timer_->set(ms);
}

/// Runs once at the end of an iteration of the event loop in which any part has called run_soon(), so that
/// everything that the iteration has brought becomes one batch. The order is a contract:
///
/// 1. Writes: submissions, then uses of tickets. Their statements are sent before any read of this iteration.
/// 2. Retries: each that is due adds its read to a batcher, so they run before the batchers.
/// 3. Reads: of jobs, of batches, of events, of users' events, of lists. Each batcher first calls back with
///    the results that have arrived, then sends the reads added so far. A read that a callback adds to a
///    batcher that has run is sent in the next run: the batcher calls run_soon() again.
/// 4. The hub delivers what was published in this iteration. After the reads: the rows of a read are older,
///    and a watcher that has just got them takes the update that follows without another read.
/// 5. Hints to users' channels, once for each user, after all parts that may have changed jobs.
/// 6. Flushes, last: a client gets everything of this iteration in one write. A flush may request another
///    flush, which is for the next run.
///
/// Each step may end requests, and with them anything that is registered in a later step.
void Runtime::run() {
  std::int64_t now = now_ms();
  submissions_.run(now);
  ticket_uses_.run();
  retries_.run(now);
  job_reads_.run(now);
  batch_reads_.run(now);
  event_reads_.run(now);
  user_event_reads_.run(now);
  job_list_reads_.run(now);
  batch_list_reads_.run(now);
  hub_.run();
  user_hints_.run();
  List<Flush, Flush> all;
  all.take_all(flushes_);
  while (Flush *one = all.pop_front())
    one->flush();
}

void Runtime::publish_newest(const core::Job &job) {
  backends_.bus().publish(job.id, job.seq, core::state_name(job.state));
  if (job.owner)
    user_hints_.publish_soon(*job.owner);
}

void Runtime::flush_soon(Flush &flush) {
  flushes_.push_back(flush);
  run_soon();
}

void Runtime::on_history_changed() {
  reread_.reset();  // the connection may be the same: a pooler has another server behind it
  batch_news_.on_history_changed();
  job_reads_.on_history_changed();
  batch_reads_.on_history_changed();
  event_reads_.on_history_changed();
  user_event_reads_.on_history_changed();
  job_list_reads_.on_history_changed();
  batch_list_reads_.on_history_changed();
  hub_.on_history_changed();
}

void Runtime::on_reader_greeting() {
  reread_.run();  // for what happened while disconnected
  lifecycle_.check_revocations();
}

void Runtime::on_reread() {
  reread_timer_->set(reread_ms_);
  reread_.run();
  keys_.refresh();
  if (lifecycle_.has_active())
    lifecycle_.check_revocations();
  hub_.sweep();
}

void Runtime::on_second() {
  sample_gauges();
  batch_news_.sweep(now_ms());
  console_.on_second();
  node_report_.on_second();
  if (lifecycle_.draining())
    return;
  queues_.on_second();
  backends_.run_maintenance();
}

void Runtime::sample_gauges() {
  std::int64_t now = now_ms();
  std::uint64_t before = std::exchange(reread_rounds_, reread_.rounds());
  if (before != reread_rounds_ || hub_.jobs() == 0)
    reread_at_ms_ = now;
  counters_.set(Gauge::reread_lag, std::max<std::int64_t>(0, now - reread_at_ms_ - reread_ms_ - kReadMs));
  counters_.set(Gauge::held, static_cast<std::int64_t>(held()));
  counters_.set(Gauge::watched, static_cast<std::int64_t>(hub_.jobs()));
  backends_.sample(counters_);
  lifecycle_.sample(counters_);
}

ZoneCache *Runtime::cache(ngx_shm_zone_t *zone) {
  auto at = caches_.find(zone);
  return at != caches_.end() ? &at->second : nullptr;
}

Runtime *runtime() { return the_runtime.get(); }

// nginx's cache manager and cache loader call this as workers do, but they serve no requests.
ngx_int_t start_runtime(ngx_cycle_t *cycle) {
  if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    return NGX_OK;
  auto *conf = static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_await_module));
  if (conf == nullptr || !conf->used_by.known())
    return NGX_OK;
  return ngx::guarded(cycle->log, ngx_int_t{NGX_ERROR}, [&]() -> ngx_int_t {
    static const bool seeded = [] {  // only once: hash tables that exist must not change
      set_hash_seed(io::Random().seed());
      return true;
    }();
    static_cast<void>(seeded);
    the_runtime = std::make_unique<Runtime>(cycle, *conf);
    return NGX_OK;
  });
}

void end_runtime(ngx_cycle_t *) { the_runtime.reset(); }

}  // namespace await::http
