#include "http/runtime/backends.h"

#include <utility>

#include "core/cursor.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr std::int64_t kPurgeMs = std::int64_t{3600} * 1000;
constexpr std::int64_t kFirstPurgeMs = 10'000;

pg::Connection::Options connection(const MainConf &conf, const char *role, std::int64_t timeout_ms) {
  return {std::string(ngx::view(conf.postgres)), role, timeout_ms};
}

std::vector<redis::Address> addresses(const MainConf &conf) {
  std::vector<redis::Address> out;
  if (conf.redis == nullptr || conf.redis_off == 1)
    return out;
  auto *urls = static_cast<ngx_str_t *>(conf.redis->elts);
  for (ngx_uint_t i = 0; i < conf.redis->nelts; ++i) {
    if (auto address = redis::parse_url(ngx::view(urls[i])))
      out.push_back(*address);
  }
  return out;
}

std::vector<pg::Lane> lanes(const MainConf &conf) {
  std::vector<pg::Lane> out;
  auto *names = conf.lanes != nullptr ? static_cast<LaneName *>(conf.lanes->elts) : nullptr;
  for (ngx_uint_t i = 0; names != nullptr && i < conf.lanes->nelts; ++i)
    out.push_back({std::string(ngx::view(names[i].queue)), static_cast<int>(names[i].priority)});
  return out;
}

}  // namespace

Backends::Backends(ngx::Loop &loop, ngx::Log &log, io::Random &random, const MainConf &conf,
                   Observer &observer)
    : loop_(loop),
      log_(log),
      random_(random),
      observer_(observer),
      write_(loop, log, random, connection(conf, "write", 10'000), this),
      read_(loop, log, random, connection(conf, "read", 10'000), this),
      bulk_(loop, log, random, connection(conf, "bulk", 30'000), this),
      store_(write_, read_, static_cast<int>(conf.value_max)),
      payloads_(bulk_),
      bus_(loop, log, random, addresses(conf)),
      redis_servers_(static_cast<int>(addresses(conf).size())),
      lanes_(lanes(conf)),
      purge_timer_(loop.timer(
          [this] {
            purge_timer_->set(kPurgeMs);
            store_.purge(bulk_);
          },
          io::Loop::Quit::may)) {}

void Backends::start(core::Bus::Listener &listener) {
  bus_.listen(listener);
  write_.start();
  read_.start();
  bulk_.start();
  bus_.start();
  // nginx workers purge at different moments
  purge_timer_->set(static_cast<std::int64_t>(kFirstPurgeMs * (1 + random_.unit())));
}

void Backends::connected(pg::Connection &connection) {
  // The others reconnect at once: otherwise a read could fail in its back-off after a write has succeeded.
  for (pg::Connection *other : {&write_, &read_, &bulk_})
    other->nudge();
  for (Greeting &greeting : greetings_) {
    if (&greeting.connection != &connection)
      continue;
    greeting.timeline.clear();
    // the queues are created on the connection that writes
    store_.hello(connection, &connection == &write_ ? lanes_ : std::vector<pg::Lane>(), greeting.reply);
  }
  if (&connection == &read_)
    observer_.on_reader_connected();
}

void Backends::on_hello(Greeting &greeting, Result<pg::Hello> hello) {
  if (!hello) {
    if (hello.error().code != Code::unavailable)
      log_.error("cannot query schema \"await\", run \"await-ctl migrate\": " + hello.error().detail);
    return;
  }
  greeting.timeline = hello->timeline;
  if (!hello->unmade.empty())
    log_.error("cannot create queues: " + hello->unmade);
  if (&greeting.connection == &read_)
    on_reader_hello(*hello);
  drop_older_timelines();
}

void Backends::on_reader_hello(const pg::Hello &hello) {
  log_schema_version(hello.schema_version);
  clock_offset_ms_ = hello.now_ms - loop_.unix_ms();
  auto before = std::exchange(timeline_, core::timeline_hash(hello.timeline));
  if (before != 0 && before != timeline_)
    observer_.on_history_changed();
  keep_ms_ = hello.keep_ms;
  observer_.on_greeting(hello);
}

/// One line for all nginx workers, and no other one after a reconnect.
void Backends::log_schema_version(int version) {
  if (std::exchange(schema_version_, version) == version || ngx_worker != 0)
    return;
  if (std::string mismatch = pg::schema_mismatch(version); !mismatch.empty())
    log_.error(mismatch);
}

/// After a failover the former primary may come back and answer as before, but what is read there is out of
/// date. The connection that writes decides, unless another one has found a newer timeline.
void Backends::drop_older_timelines() {
  const std::string &written = greetings_[0].timeline;
  for (Greeting &greeting : greetings_) {
    if (!write_.ready() || !greeting.connection.ready() || written.empty() || greeting.timeline.empty() ||
        greeting.timeline == written)
      continue;
    bool newer = pg::is_older(written, greeting.timeline);
    (newer ? write_ : greeting.connection).drop("another connection found a server with a newer timeline");
    if (newer)
      return;
  }
}

void Backends::wait_for_greeting(GreetingWaiter &waiter) {
  waiters_.push_back(waiter);
  if (!waited_for_.waiting())
    request_greeting(waited_for_);  // answered after the greeting that every connection begins with
}

void Backends::on_first_greeting(const Result<pg::Hello> &) { call_all(waiters_); }

void Backends::tick() {
  if (write_.ready())
    store_.tick();
}

bool Backends::past_retention(const Uuid &id) const {
  if (!id.is_v7() || id.retention() >= keep_ms_.size() || keep_ms_[id.retention()] == 0)
    return false;
  return id.unix_ms() + keep_ms_[id.retention()] < database_ms();
}

Backends::Readiness Backends::readiness() const {
  constexpr const char *kParts[] = {"postgresql write", "postgresql read", "postgresql bulk"};
  Readiness out;
  for (std::size_t i = 0; i < std::size(greetings_); ++i) {
    const Greeting &greeting = greetings_[i];
    if (!greeting.connection.ready())
      out.problems.push_back({kParts[i], "not connected"});
    else if (greeting.timeline.empty())
      out.problems.push_back({kParts[i], "not greeted"});
  }
  if (pg::schema_is_older(schema_version_) && out.problems.empty())
    out.problems.push_back({"postgresql schema", "older than the module"});
  if (bus_.ready() < redis_servers_)
    out.degraded.push_back({"redis", bus_.ready() == 0 ? "not subscribed" : "not subscribed to all servers"});
  return out;
}

void Backends::sample(Counters &counters) {
  counters.set(Gauge::postgres, (write_.ready() ? 1 : 0) + (read_.ready() ? 1 : 0) + (bulk_.ready() ? 1 : 0));
  counters.set(Gauge::redis, bus_.ready());
  for (pg::Connection *connection : {&write_, &read_, &bulk_})
    counters.count(Counter::statements, connection->take_count());
}

}  // namespace await::http
