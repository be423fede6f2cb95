#include "http/runtime/node_report.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "base/version.h"
#include "http/runtime/shared_table.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr std::int64_t kEveryMs = 3'000;
constexpr std::int64_t kEveryMsAsked = 1'000;
constexpr std::int64_t kAskMs = 10'000;  // a page that shows a job asks again before that
constexpr std::int64_t kMarginMs = 100;  // a little before the second, so that its call finds it due
constexpr std::size_t kWorkers = 256;
constexpr std::size_t kMostEntries = 20;  // of one job

struct Named {
  Gauge gauge;
  const char *name;
};

// clang-format off
constexpr Named kGauges[] = {
    {Gauge::polls, "polls"},       {Gauge::streams, "streams"},     {Gauge::sockets, "sockets"},
    {Gauge::consoles, "consoles"}, {Gauge::held, "held"},           {Gauge::parked, "parked"},
    {Gauge::watched, "watched"},   {Gauge::submissions, "submissions"}, {Gauge::reads, "reads"},
    {Gauge::buffered, "buffered"}, {Gauge::uploads, "uploads"},     {Gauge::greeted, "postgres"},
    {Gauge::redis, "redis"},       {Gauge::listening, "listening"}, {Gauge::draining, "draining"},
};
// clang-format on

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
  Watched watched[kMostJobs];
};

// Times are by the monotonic clock, which all processes share.
struct NodeReport::Table {
  Uuid id;
  std::int64_t next_ms;  // of the next report
  struct {
    Uuid job;
    std::int64_t until_ms;
  } asked[kMostJobs];
  Uuid wanted[kMostJobs];  // that the consoles of all nodes ask about
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
                       core::Hub &hub, const DeliveryLog &deliveries, ngx_shm_zone_t *zone)
    : loop_(loop),
      backends_(backends),
      counters_(counters),
      random_(random),
      hub_(hub),
      deliveries_(deliveries) {
  if (zone == nullptr)
    return;
  pool_ = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
  table_ = static_cast<Table *>(zone->data);
}

Uuid NodeReport::id() const { return table_ != nullptr ? table_->id : Uuid(); }

void NodeReport::ask(const Uuid &job) {
  if (table_ == nullptr)
    return;
  TryLock lock(*pool_);
  if (!lock)
    return;  // the page asks again
  std::int64_t now = loop_.monotonic_ms();
  auto *free = std::find_if(std::begin(table_->asked), std::end(table_->asked),
                            [&](const auto &one) { return one.job == job; });
  if (free == std::end(table_->asked))
    free = std::find_if(std::begin(table_->asked), std::end(table_->asked),
                        [&](const auto &one) { return one.until_ms < now; });
  if (free == std::end(table_->asked))
    return;
  bool is_new = free->until_ms < now || free->job != job;
  *free = {job, now + kAskMs};
  if (is_new)
    table_->next_ms = 0;
}

void NodeReport::on_second() {
  if (table_ == nullptr)
    return;
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
  TryLock lock(*pool_);
  if (!lock)
    return false;
  Slot &mine = table_->slots[static_cast<std::size_t>(ngx_process_slot) % kWorkers];
  mine.pid = ngx_pid;
  mine.count = watched_.size();
  std::copy(watched_.begin(), watched_.end(), mine.watched);
  watched_.resize(table_->wanted_count);
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (watched_[i].first != table_->wanted[i])
      watched_[i] = {table_->wanted[i], 0};
  }
  std::int64_t now = loop_.monotonic_ms();
  if (now < table_->next_ms || reply_.waiting() || !backends_.has_console())
    return false;
  if (table_->id == Uuid())
    table_->id = Uuid::v7(loop_.unix_ms(), 0, random_.ten());
  asked_.clear();
  for (const auto &one : table_->asked) {
    if (one.until_ms >= now)
      asked_.push_back(one.job);
  }
  bool asked = !asked_.empty() || table_->wanted_count > 0;
  table_->next_ms = now + (asked ? kEveryMsAsked : kEveryMs) - kMarginMs;
  known_.clear();
  for (std::size_t i = 0; i < table_->wanted_count; ++i)
    known_.emplace_back(table_->wanted[i], 0);
  for (const Slot &slot : table_->slots) {
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
  add_gauges(out, counters_);
  std::string asks;
  for (const Uuid &job : asked_)
    asks += (asks.empty() ? "\"" : ",\"") + job.text() + "\"";
  out.made("asks", "[" + asks + "]");
  std::string jobs;
  for (const auto &[job, clients] : known_) {
    std::string sent;
    for (const DeliveryLog::Entry &entry : deliveries_.of(job, kMostEntries))
      sent += (sent.empty() ? "" : ",") + encode(entry);
    wire::JsonWriter one;
    one.number("watching", clients);
    one.made("sent", "[" + sent + "]");
    jobs += (jobs.empty() ? "\"" : ",\"") + job.text() + "\":" + one.take();
  }
  out.made("jobs", "{" + jobs + "}");
  std::string_view host = ngx::view(const_cast<const ngx_cycle_t *>(ngx_cycle)->hostname);
  backends_.report_node(table_->id, std::string(host), out.take(), reply_);
}

void NodeReport::on_reply(Result<std::vector<Uuid>> jobs) {
  if (!jobs)
    return;  // it was logged; the next one may do better
  TryLock lock(*pool_);
  if (!lock)
    return;
  table_->wanted_count = std::min(jobs->size(), kMostJobs);
  std::copy_n(jobs->begin(), table_->wanted_count, table_->wanted);
}

void add_gauges(wire::JsonWriter &out, const Counters &counters) {
  for (const Named &one : kGauges)
    out.number(one.name, counters.sum(one.gauge));
}

}  // namespace await::http
