#include "http/runtime/backends.h"

#include <utility>

#include "core/cursor.h"
#include "core/kind.h"
#include "core/timelines.h"
#include "ngx/str.h"
#include "pg/maintenance.h"

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

Backends::Greeting::Greeting(Backends &owner, pg::Connection &connection, const char *part)
    : owner(owner),
      connection(connection),
      part(part),
      refusal(owner.refusals_),
      retry(owner.loop_.timer([this] { this->owner.ask(*this); }, io::Loop::Quit::may)) {}

Backends::Backends(ngx::Loop &loop, ngx::Log &log, io::Random &random, const MainConf &conf,
                   Counters &counters, Observer &observer)
    : loop_(loop),
      log_(log),
      random_(random),
      counters_(counters),
      observer_(observer),
      refusals_(loop, log),
      write_(loop, log, random, connection(conf, "write", 10'000), this),
      read_(loop, log, random, connection(conf, "read", 10'000), this),
      bulk_(loop, log, random, connection(conf, "bulk", 30'000), this),
      store_(write_, read_, static_cast<int>(conf.value_max)),
      payloads_(bulk_),
      batches_(write_, read_, bulk_, static_cast<int>(conf.value_max)),
      bus_(loop, log, random, addresses(conf)),
      notify_bus_(loop, log, random, read_),
      lanes_(lanes(conf)),
      purge_timer_(loop.timer(
          [this] {
            purge_timer_->set(kPurgeMs);
            pg::Purge::run(bulk_);
          },
          io::Loop::Quit::may)) {}

void Backends::start(core::Bus::Listener &listener) {
  bus_.listen(listener);
  notify_bus_.listen(listener);
  write_.start();
  read_.start();
  bulk_.start();
  bus_.start();
  // nginx workers purge at different moments
  purge_timer_->set(static_cast<std::int64_t>(kFirstPurgeMs * (1 + random_.unit())));
}

void Backends::connected(pg::Connection &connection) {
  for (Greeting &greeting : greetings_) {
    if (&greeting.connection != &connection)
      continue;
    greeting.timeline.clear();
    ask(greeting);
  }
  if (&connection == &read_)
    observer_.on_reader_connected();
}

void Backends::ask(Greeting &greeting) {
  greeting.retry->clear();
  if (greeting.reply.waiting() || !greeting.connection.established())
    return;
  // the queues are created on the connection that writes
  bool writes = &greeting.connection == &write_;
  pg::request_hello(greeting.connection, writes ? lanes_ : std::vector<pg::Lane>(), greeting.reply, true);
}

void Backends::on_answer(const Result<pg::Hello> &hello) { on_hello(greetings_[1], hello); }

void Backends::on_hello(Greeting &greeting, const Result<pg::Hello> &hello) {
  if (!greeting.connection.established())
    return;  // whoever connects asks again
  if (!hello) {
    on_refusal(greeting, hello.error());
    return;
  }
  greeting.backoff.reset();
  greeting.refusal.recover("schema \"await\" can be used");
  if (!counters_.accept_timeline(hello->timeline)) {
    greeting.timeline.clear();
    greeting.connection.reject("the server is on timeline " + hello->timeline +
                               ", which is older than one that this node has used: a former primary; promote "
                               "it, or restart nginx, if it is to be used");
    return;
  }
  bool is_news = std::exchange(greeting.timeline, hello->timeline) != hello->timeline;
  if (timeline_ == 0) {  // the first of all connections: a request may come before the greeting of the reader
    learn(*hello);
    timeline_ = core::timeline_hash(hello->timeline);
  }
  bool is_new = !greeting.connection.ready();
  greeting.connection.accept();
  if (is_new && &greeting.connection == &read_)
    notify_bus_.on_connection();
  // The others reconnect at once: otherwise a read could fail in its back-off after a write has succeeded.
  for (Greeting &other : greetings_) {
    if (is_new)
      other.connection.nudge();
  }
  if (!hello->unmade.empty())
    log_.error("cannot create queues: " + hello->unmade);
  if (&greeting.connection == &read_)
    on_reader_hello(*hello, is_news);
  if (is_news)
    compare_timelines(hello->timeline);
}

void Backends::on_refusal(Greeting &greeting, const Error &error) {
  const char *advice =
      error.code == Code::forbidden
          ? "make the role of await_postgres a member of await_edge, and if that role is new, "
            "run \"await-ctl migrate\" for its rights: "
          : "if it is missing or old, run \"await-ctl migrate\": ";
  greeting.refusal.fail(std::string("cannot query schema \"await\", retrying; ") + advice + error.detail);
  greeting.retry->set(greeting.backoff.next(random_.unit()));
}

void Backends::learn(const pg::Hello &hello) {
  log_schema_version(hello.schema_version);
  database_ms_ = hello.now_ms;
  greeted_ms_ = loop_.monotonic_ms();
  keep_ms_ = hello.keep_ms;  // of jobs that have not ended, too
  observer_.on_keys(hello);
}

void Backends::on_reader_hello(const pg::Hello &hello, bool is_news) {
  learn(hello);
  auto before = std::exchange(timeline_, core::timeline_hash(hello.timeline));
  if (before != 0 && before != timeline_)
    observer_.on_history_changed();
  if (is_news)
    observer_.on_reader_greeting();
}

/// One line for all nginx workers, and no other one after a reconnect.
void Backends::log_schema_version(int version) {
  if (std::exchange(schema_version_, version) == version || ngx_worker != 0)
    return;
  if (std::string mismatch = pg::schema_mismatch(version); !mismatch.empty())
    log_.error(mismatch);
}

/// The others may still be connected to a former primary: they are asked again, and closed if they are. Of
/// two databases neither is older; then the connection that writes decides.
void Backends::compare_timelines(const std::string &newest) {
  const std::string &written = greetings_[0].timeline;
  for (Greeting &greeting : greetings_) {
    if (greeting.timeline.empty() || greeting.timeline == newest)
      continue;
    if (core::same_database(greeting.timeline, newest) || &greeting.connection == &write_)
      ask(greeting);
  }
  for (Greeting &greeting : greetings_) {
    if (!written.empty() && !greeting.timeline.empty() && !core::same_database(greeting.timeline, written))
      greeting.connection.reject("the connection that writes is connected to another database");
  }
}

void Backends::wait_for_greeting(GreetingWaiter &waiter) {
  waiters_.push_back(waiter);
  if (!waited_for_.waiting())
    request_greeting(waited_for_, false);  // answered after the greeting that every connection begins with
}

void Backends::on_first_greeting(const Result<pg::Hello> &hello) {
  on_answer(hello);
  call_all(waiters_);
}

void Backends::run_maintenance() {
  // on a connection behind which no submission waits; a nginx worker that is still at it lets others try
  if (bulk_.ready() && !maintenance_.running() && counters_.take_second(loop_.monotonic_ms() / 1000))
    maintenance_.run();
}

bool Backends::past_retention(const Uuid &id) const {
  if (!core::ends(core::kind_of(id)) || id.retention() >= keep_ms_.size() || keep_ms_[id.retention()] == 0)
    return false;
  return id.unix_ms() + keep_ms_[id.retention()] < database_ms();
}

Backends::Readiness Backends::readiness() const {
  Readiness out;
  for (const Greeting &greeting : greetings_) {
    if (!greeting.connection.established())
      out.problems.push_back({greeting.part, "not connected", greeting.connection.reason()});
    else if (!greeting.connection.ready())
      out.problems.push_back({greeting.part, "not greeted", greeting.refusal.reason()});
  }
  if (pg::schema_is_older(schema_version_) && out.problems.empty())
    out.problems.push_back({"postgresql schema", "older than the module", {}});
  for (redis::Bus::Problem &one : bus_.problems())
    out.degraded.push_back(
        {"redis", one.connected ? "not subscribed" : "not connected", std::move(one.reason)});
  if (!notify_bus_.problem().empty())
    out.degraded.push_back({"postgresql notify", "not listening", notify_bus_.problem()});
  return out;
}

void Backends::sample(Counters &counters) {
  int established = 0;
  int greeted = 0;
  for (pg::Connection *connection : {&write_, &read_, &bulk_}) {
    established += connection->established() ? 1 : 0;
    greeted += connection->ready() ? 1 : 0;
    counters.count(Counter::statements, connection->take_count());
  }
  counters.set(Gauge::postgres, established);
  counters.set(Gauge::greeted, greeted);
  counters.set(Gauge::redis, bus_.ready());
  counters.set(Gauge::subscribed, bus_.subscribed());
  counters.set(Gauge::listening, notify_bus_.ready() ? 1 : 0);
}

}  // namespace await::http
