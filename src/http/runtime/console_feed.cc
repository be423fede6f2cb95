#include "http/runtime/console_feed.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "http/runtime/shared_table.h"

namespace await::http {
namespace {

constexpr std::size_t kMostBytes = 256 * 1024;
constexpr std::int64_t kEveryMs = 1'000;
constexpr std::int64_t kRarestMs = 60'000;
constexpr std::int64_t kAfterErrorMs = 3'000;
constexpr std::int64_t kShare = 20;         // one part in so many of the time is spent on reads
constexpr std::int64_t kReaderMs = 30'000;  // after which another nginx worker reads, if one was ended
constexpr std::int64_t kOutdatedMs =
    15'000;  // after the next read was due, what was read is not shown as what is

}  // namespace

// Times are by the monotonic clock, which all processes share.
struct ConsoleFeed::Table {
  std::int64_t next_ms;      // of the next read
  ngx_pid_t reader;          // the nginx worker that reads now; 0: none does
  std::int64_t read_ms;      // of what is here
  std::int64_t outdated_ms;  // when that is no longer shown
  std::int64_t no;           // grows with each read; 0: none
  std::size_t size;
  char text[kMostBytes];
};

ngx_shm_zone_t *ConsoleFeed::reserve(ngx_conf_t *cf) {
  return reserve_table(cf, "await_console", sizeof(Table), 16, init_zone);
}

ngx_int_t ConsoleFeed::init_zone(ngx_shm_zone_t *zone, void *old) {
  return init_table(zone, old, sizeof(Table));
}

ConsoleFeed::ConsoleFeed(ngx::Loop &loop, Backends &backends, ngx_shm_zone_t *zone)
    : loop_(loop), backends_(backends) {
  if (zone == nullptr)
    return;
  pool_ = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
  table_ = static_cast<Table *>(zone->data);
}

void ConsoleFeed::add(Listener &listener) {
  listeners_.push_back(listener);
  read_if_due();
}

void ConsoleFeed::on_second() {
  publish();
  if (listeners_.empty())
    return;
  read_if_due();
  take_newest();
  tell();
}

void ConsoleFeed::read_if_due() {
  std::int64_t now = loop_.monotonic_ms();
  if (table_ == nullptr || reply_.waiting() || outcome_ || !backends_.has_console())
    return;
  {
    TryLock lock(*pool_);
    bool abandoned = lock && table_->reader != 0 && kill(table_->reader, 0) == -1 && errno == ESRCH;
    if (!lock || (now < table_->next_ms && !abandoned))
      return;
    table_->next_ms = now + kReaderMs;
    table_->reader = ngx_pid;
  }
  read_at_ms_ = now;
  backends_.read_console(core::ConsoleRead::overview, {}, reply_);
}

void ConsoleFeed::on_read(Result<core::ConsoleDocument> overview) {
  std::int64_t now = loop_.monotonic_ms();
  std::int64_t took = now - read_at_ms_;
  bool good = overview && *overview && (*overview)->size() <= kMostBytes;
  if (overview && *overview && !good)
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "await: the overview of await_console has %uz bytes, more than the %uz that are shown",
                  (*overview)->size(), kMostBytes);
  std::int64_t pause = good ? kShare * took - took : std::max(kAfterErrorMs, took);
  // a little before the second, so that the call of the second finds it due
  outcome_ = Outcome{good ? std::move(**overview) : std::string(), now,
                     std::clamp(pause, kEveryMs - 100 - std::min(took, kEveryMs - 100), kRarestMs)};
  publish();
  take_newest();
  if (is_new_)
    tell();
}

/// If another process has the lock, the next second does it.
void ConsoleFeed::publish() {
  if (!outcome_)
    return;
  TryLock lock(*pool_);
  if (!lock)
    return;
  const Outcome &read = *outcome_;
  table_->next_ms = read.at_ms + read.pause_ms;
  table_->reader = 0;
  if (!read.overview.empty()) {
    std::copy(read.overview.begin(), read.overview.end(), table_->text);
    table_->size = read.overview.size();
    table_->read_ms = read.at_ms;
    table_->outdated_ms = table_->next_ms + kOutdatedMs;
    ++table_->no;
  }
  outcome_.reset();
}

void ConsoleFeed::take_newest() {
  TryLock lock(*pool_);
  if (!lock)
    return;
  bool outdated = table_->no == 0 || loop_.monotonic_ms() > table_->outdated_ms;
  if (outdated) {
    is_new_ = !std::exchange(overview_, {}).empty();
    overview_no_ = 0;
  } else if (table_->no != overview_no_) {
    overview_.assign(table_->text, table_->size);
    overview_no_ = table_->no;
    overview_read_ms_ = table_->read_ms;
    is_new_ = true;
  }
}

void ConsoleFeed::tell() {
  List<Listener, Listener> all;
  all.take_all(listeners_);
  // for lack of memory a call may throw: those behind it are told in the next second
  struct Rest {
    List<Listener, Listener> &from, &to;
    ~Rest() { to.take_all(from); }
  } rest{all, listeners_};
  for (std::string &text : shared_)
    text.clear();
  while (Listener *one = all.pop_front()) {
    listeners_.push_back(*one);
    one->on_overview(overview_, is_new_);
  }
  is_new_ = false;
}

}  // namespace await::http
