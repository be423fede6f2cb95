#include "http/runtime/console_feed.h"

#include <algorithm>
#include <utility>

#include "http/runtime/shared_table.h"

namespace await::http {
namespace {

constexpr std::size_t kMostBytes = 256 * 1024;
constexpr std::int64_t kEveryMs = 1'000;
constexpr std::int64_t kShare = 20;           // one part in so many of the time is spent on reads
constexpr std::int64_t kReaderMs = 30'000;    // after which another nginx worker reads, if one was ended
constexpr std::int64_t kOutdatedMs = 15'000;  // what is older is not shown as what is

}  // namespace

// Times are by the monotonic clock, which all processes share.
struct ConsoleFeed::Table {
  std::int64_t next_ms;  // of the next read
  std::int64_t read_ms;  // of what is here
  std::int64_t no;       // grows with each read; 0: none
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
  if (listeners_.empty())
    return;
  read_if_due();
  take_newest();
  tell();
}

void ConsoleFeed::read_if_due() {
  std::int64_t now = loop_.monotonic_ms();
  if (table_ == nullptr || reply_.waiting() || !backends_.has_console())
    return;
  {
    TryLock lock(*pool_);
    if (!lock || now < table_->next_ms)
      return;
    table_->next_ms = now + kReaderMs;
  }
  read_at_ms_ = now;
  backends_.read_console(core::ConsoleRead::overview, {}, reply_);
}

void ConsoleFeed::on_read(Result<core::ConsoleDocument> overview) {
  std::int64_t now = loop_.monotonic_ms();
  {
    TryLock lock(*pool_);
    if (!lock)
      return;  // in a while there is another read
    // a little before the second, so that the call of the second finds it due
    table_->next_ms = read_at_ms_ + std::max(kEveryMs - 100, kShare * (now - read_at_ms_));
    if (!overview || !*overview || (*overview)->size() > kMostBytes)
      return;  // it was logged
    std::copy((*overview)->begin(), (*overview)->end(), table_->text);
    table_->size = (*overview)->size();
    table_->read_ms = now;
    ++table_->no;
  }
  take_newest();
  if (is_new_)
    tell();
}

void ConsoleFeed::take_newest() {
  TryLock lock(*pool_);
  if (!lock)
    return;
  bool outdated = table_->no == 0 || loop_.monotonic_ms() - table_->read_ms > kOutdatedMs;
  if (outdated) {
    is_new_ = !std::exchange(overview_, {}).empty();
    overview_no_ = 0;
  } else if (table_->no != overview_no_) {
    overview_.assign(table_->text, table_->size);
    overview_no_ = table_->no;
    is_new_ = true;
  }
}

void ConsoleFeed::tell() {
  bool is_new = std::exchange(is_new_, false);
  List<Listener, Listener> all;
  all.take_all(listeners_);
  while (Listener *one = all.pop_front()) {
    listeners_.push_back(*one);
    one->on_overview(overview_, is_new);
  }
}

}  // namespace await::http
