#include "http/runtime/node_report.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>

#include "base/text.h"
#include "base/version.h"
#include "http/runtime/shared_table.h"
#include "ngx/str.h"
#include "wire/json_list.h"

namespace await::http {
namespace {

constexpr std::int64_t kEveryMs = 3'000;
constexpr std::int64_t kEveryMsOfJobs = 1'000;
constexpr std::int64_t kShowMs = 5'000;  // a page that is open says so again before that
constexpr std::int64_t kMarginMs = 100;  // a little before the second, so that its call finds it due
constexpr std::size_t kWorkers = 256;
constexpr std::size_t kMostEntries = 20;  // of one job

template <class What>
struct Named {
  What what;
  const char *name;
};

// clang-format off
constexpr Named<Gauge> kGauges[] = {
    {Gauge::polls, "polls"},       {Gauge::streams, "streams"},     {Gauge::sockets, "sockets"},
    {Gauge::consoles, "consoles"}, {Gauge::held, "held"},           {Gauge::parked, "parked"},
    {Gauge::watched, "watched"},   {Gauge::submissions, "submissions"}, {Gauge::reads, "reads"},
    {Gauge::buffered, "buffered"}, {Gauge::uploads, "uploads"},     {Gauge::greeted, "postgres"},
    {Gauge::redis, "redis"},       {Gauge::listening, "listening"}, {Gauge::draining, "draining"},
};
// those of one name are added
constexpr Named<Counter> kCounters[] = {
    {Counter::submitted, "submitted"},   {Counter::replayed, "replayed"},      {Counter::published, "published"},
    {Counter::statements, "statements"}, {Counter::cache_hits, "cache_hits"},  {Counter::cache_misses, "cache_misses"},
    {Counter::batch_hits, "batch_hits"}, {Counter::batch_misses, "batch_misses"}, {Counter::paused, "paused"},
    {Counter::cut, "cut"},               {Counter::resets, "resets"},          {Counter::revoked, "revoked"},
    {Counter::refused_submissions, "refused"}, {Counter::refused_reads, "refused"}, {Counter::refused_held, "refused"},
    {Counter::refused_uploads, "refused"},
};
// clang-format on

std::string encode(std::span<const std::int64_t> numbers) {
  wire::JsonList out;
  for (std::int64_t number : numbers)
    out.number(number);
  return out.take();
}

std::string encode(const DeliveryLog::Entry &entry) {
  wire::JsonWriter out;
  out.number("seq", entry.seq);
  out.text("way", name_of(entry.way));
  out.number("clients", entry.clients);
  out.text("at", format_time(entry.at_ms));
  out.number("late_ms", entry.late_ms);
  return out.take();
}

bool is_alive(std::int64_t pid) {
  return pid != 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

}  // namespace

// Written by one nginx worker, under the lock.
struct NodeReport::Slot {
  std::int64_t pid;
  std::size_t count;
  Watched watched[kMostWatched];
};

// Times are by the monotonic clock, which all processes share.
struct NodeReport::Table {
  Uuid id;
  std::int64_t next_ms;         // of the next report
  std::int64_t shown_until_ms;  // while a console of this node is open
  struct {
    Uuid job;
    std::int64_t until_ms;
  } shown[kMostShown];
  Uuid wanted[kMostWatched];  // that the consoles of all nodes show
  std::size_t wanted_count;
  Slot slots[kWorkers];
};

ngx_shm_zone_t *NodeReport::reserve(ngx_conf_t *cf) {
  return reserve_table(cf, "await_node", sizeof(Table), 16, init_zone);
}

ngx_int_t NodeReport::init_zone(ngx_shm_zone_t *zone, void *old) {
  return init_table(zone, old, sizeof(Table));
}

NodeReport::NodeReport(ngx::Loop &loop, Backends &backends, Counters &counters, io::Random &random,
                       core::Hub &hub, const DeliveryLog &deliveries, ngx_shm_zone_t &zone)
    : loop_(loop),
      backends_(backends),
      counters_(counters),
      random_(random),
      hub_(hub),
      deliveries_(deliveries),
      pool_(*reinterpret_cast<ngx_slab_pool_t *>(zone.shm.addr)),
      table_(*static_cast<Table *>(zone.data)) {}

Uuid NodeReport::id() const { return table_.id; }

void NodeReport::show() {
  TryLock lock(pool_);
  if (!lock)
    return;  // the page says so again
  std::int64_t now = loop_.monotonic_ms();
  if (table_.shown_until_ms < now)
    table_.next_ms = 0;
  table_.shown_until_ms = now + kShowMs;
}

void NodeReport::show(const Uuid &job) {
  show();
  TryLock lock(pool_);
  if (!lock)
    return;
  std::int64_t now = loop_.monotonic_ms();
  auto *free = std::find_if(std::begin(table_.shown), std::end(table_.shown),
                            [&](const auto &one) { return one.job == job; });
  if (free == std::end(table_.shown))
    free = std::find_if(std::begin(table_.shown), std::end(table_.shown),
                        [&](const auto &one) { return one.until_ms < now; });
  if (free == std::end(table_.shown))
    return;
  bool is_new = free->until_ms < now || free->job != job;
  *free = {job, now + kShowMs};
  if (is_new)
    table_.next_ms = 0;
}

void NodeReport::on_second() {
  count_watchers();
  if (exchange())
    send();
}

void NodeReport::count_watchers() {
  for (auto &[job, clients] : watched_)
    clients = static_cast<std::int64_t>(hub_.clients(job));
}

/// Tells the other nginx workers what this one has counted, and learns about which jobs to count. True: the
/// report is this one's business now.
bool NodeReport::exchange() {
  TryLock lock(pool_);
  if (!lock)
    return false;
  Slot &mine = table_.slots[static_cast<std::size_t>(ngx_process_slot) % kWorkers];
  mine.pid = ngx_pid;
  mine.count = watched_.size();
  std::copy(watched_.begin(), watched_.end(), mine.watched);
  watched_.resize(table_.wanted_count);
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (watched_[i].first != table_.wanted[i])
      watched_[i] = {table_.wanted[i], 0};
  }
  std::int64_t now = loop_.monotonic_ms();
  if (now < table_.next_ms || reply_.waiting() || !backends_.has_console())
    return false;
  if (table_.id == Uuid())
    table_.id = Uuid::v7(loop_.unix_ms(), 0, random_.ten());
  is_shown_ = table_.shown_until_ms >= now;
  shown_.clear();
  for (const auto &one : table_.shown) {
    if (one.until_ms >= now)
      shown_.push_back(one.job);
  }
  bool of_jobs = !shown_.empty() || table_.wanted_count > 0;
  table_.next_ms = now + (of_jobs ? kEveryMsOfJobs : kEveryMs) - kMarginMs;
  known_.clear();
  for (std::size_t i = 0; i < table_.wanted_count; ++i)
    known_.emplace_back(table_.wanted[i], 0);
  for (const Slot &slot : table_.slots) {
    if (slot.count == 0 || !is_alive(slot.pid))
      continue;
    for (Watched &known : known_) {
      auto *end = slot.watched + slot.count;
      auto *one =
          std::find_if(slot.watched, end, [&](const Watched &each) { return each.first == known.first; });
      known.second += one != end ? one->second : 0;
    }
  }
  return true;
}

void NodeReport::send() {
  wire::JsonWriter out;
  out.text("version", kVersion);
  add_counts(out, counters_);
  out.boolean("shown", is_shown_);
  wire::JsonList asks;
  for (const Uuid &job : shown_)
    asks.text(job.text());
  out.made("asks", asks.take());
  wire::JsonWriter jobs;
  for (const auto &[job, clients] : known_) {
    wire::JsonList sent;
    for (const DeliveryLog::Entry &entry : deliveries_.of(job, kMostEntries))
      sent.made(encode(entry));
    wire::JsonWriter one;
    one.number("watching", clients);
    one.made("sent", sent.take());
    jobs.made(job.text(), one.take());
  }
  out.made("jobs", jobs.take());
  std::string_view host = ngx::view(const_cast<const ngx_cycle_t *>(ngx_cycle)->hostname);
  backends_.report_node(table_.id, std::string(host), out.take(), reply_);
}

void NodeReport::on_reply(Result<std::vector<Uuid>> wanted) {
  if (!wanted)
    return;  // it was logged; the next one may do better
  TryLock lock(pool_);
  if (!lock)
    return;
  table_.wanted_count = std::min(wanted->size(), kMostWatched);
  std::copy_n(wanted->begin(), table_.wanted_count, table_.wanted);
}

void add_counts(wire::JsonWriter &out, const Counters &counters) {
  for (const auto &[gauge, name] : kGauges)
    out.number(name, counters.sum(gauge));
  for (std::size_t i = 0; i < std::size(kCounters);) {
    std::string_view name = kCounters[i].name;
    std::int64_t sum = 0;
    for (; i < std::size(kCounters) && kCounters[i].name == name; ++i)
      sum += counters.sum(kCounters[i].what);
    out.number(name, sum);
  }
  wire::JsonWriter latency;
  latency.made("bounds", encode(core::Latency::kBoundsMs));
  latency.made("submit", encode(counters.sum(Timed::submit).counts));
  latency.made("deliver", encode(counters.sum(Timed::deliver).counts));
  out.made("latency", latency.take());
}

}  // namespace await::http
