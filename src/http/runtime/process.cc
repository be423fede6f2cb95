#include "http/runtime/process.h"

#include <algorithm>

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/cursor.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/channel.h"
#include "wire/cursor_key.h"
#include "wire/socket_protocol.h"
#include "wire/sse.h"
#include "wire/websocket.h"

namespace await::http {
namespace {

std::unique_ptr<Process> the_process;

pg::Connection::Options connection(const MainConf &location_conf, const char *role, std::int64_t timeout_ms) {
  return {std::string(ngx::view(location_conf.postgres)), role, timeout_ms};
}

std::vector<redis::Address> addresses(const MainConf &location_conf) {
  std::vector<redis::Address> out;
  if (location_conf.redis == nullptr || location_conf.redis_off == 1)
    return out;
  auto *urls = static_cast<ngx_str_t *>(location_conf.redis->elts);
  for (ngx_uint_t i = 0; i < location_conf.redis->nelts; ++i) {
    if (auto address = redis::parse_url(ngx::view(urls[i])))
      out.push_back(*address);
  }
  return out;
}

std::vector<pg::Lane> lanes(const MainConf &location_conf) {
  std::vector<pg::Lane> out;
  auto *names = location_conf.lanes != nullptr ? static_cast<LaneName *>(location_conf.lanes->elts) : nullptr;
  for (ngx_uint_t i = 0; names != nullptr && i < location_conf.lanes->nelts; ++i)
    out.push_back({std::string(ngx::view(names[i].queue)), static_cast<int>(names[i].priority)});
  return out;
}

core::SubmitBatcher::Limits limits(const MainConf &location_conf) {
  core::SubmitBatcher::Limits out;
  out.rows = static_cast<std::size_t>(location_conf.batch_rows);
  out.flights = static_cast<std::size_t>(location_conf.batch_flights);
  return out;
}

}  // namespace

Process::Process(ngx_cycle_t *cycle, const MainConf &location_conf)
    : counters_(location_conf.counters),
      loop_(cycle->log),
      log_(cycle->log),
      write_(loop_, log_, random_, connection(location_conf, "write", 10'000), this),
      read_(loop_, log_, random_, connection(location_conf, "read", 10'000), this),
      bulk_(loop_, log_, random_, connection(location_conf, "bulk", 30'000), this),
      store_(write_, read_, static_cast<int>(location_conf.value_max)),
      payloads_(bulk_),
      bus_(loop_, log_, random_, addresses(location_conf)),
      hub_(bus_, *this),
      intake_(store_, bus_, *this, limits(location_conf)),
      retries_(*this),
      jobs_(store_, *this),
      events_(store_, *this),
      user_events_(store_, *this, 2, 64),
      reread_(store_, hub_, {}),
      lanes_(lanes(location_conf)),
      reread_ms_(static_cast<std::int64_t>(location_conf.reread)),
      drain_ms_(static_cast<std::int64_t>(location_conf.drain)),
      drain_timer_(loop_.timer([this] { drain_some(); }, io::Loop::Quit::must_not)),
      retry_timer_(loop_.timer([this] { run(); }, io::Loop::Quit::must_not)),
      reread_timer_(loop_.timer([this] { reread(); }, io::Loop::Quit::may)),
      tick_timer_(loop_.timer(
          [this] {
            tick_timer_->set(kTickMs);
            wheel_.tick();
            measure();
          },
          io::Loop::Quit::may)),
      deadline_timer_(loop_.timer(
          [this] {
            if (now_ms() < deadlines_until_ms_)
              deadline_timer_->set(kDeadlineTickMs);
            deadlines_.tick();
          },
          io::Loop::Quit::may)),
      keys_timer_(loop_.timer([this] { ask_for_keys(); }, io::Loop::Quit::must_not)),
      purge_timer_(loop_.timer(
          [this] {
            purge_timer_->set(kPurgeMs);
            store_.purge(bulk_);
          },
          io::Loop::Quit::may)) {
  for (bool visible : {false, true}) {
    std::string beat = visible ? wire::sse_frame("", "beat", "{}") : std::string(wire::kSseComment);
    beats_[visible ? 1 : 0] = Bytes(beat);
    beats_[visible ? 3 : 2] = Bytes(wire::chunk(beat));
  }
  last_chunk_ = Bytes(wire::kLastChunk);
  socket_ping_ = Bytes(wire::websocket_ping());
  socket_beat_ = Bytes(wire::websocket_text(wire::kBeat));
  bus_.listen(hints_);
  write_.start();
  read_.start();
  bulk_.start();
  bus_.start();
  // workers look at different moments
  reread_timer_->set(static_cast<std::int64_t>(static_cast<double>(reread_ms_) * (0.5 + random_.unit() / 2)));
  tick_timer_->set(kTickMs);
  purge_timer_->set(static_cast<std::int64_t>(10'000 * (1 + random_.unit())));
  watch_shutdown();
}

Process::~Process() {
  if (shutdown_ != nullptr) {
    ngx_free_connection(shutdown_);
    shutdown_->fd = static_cast<ngx_socket_t>(-1);
  }
  if (shutdown_fd_ >= 0)
    ::close(shutdown_fd_);
}

// A quitting nginx worker closes its idle connections: one that never was a client tells us of it.
void Process::watch_shutdown() {
  shutdown_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  shutdown_ = shutdown_fd_ >= 0 ? ngx_get_connection(shutdown_fd_, ngx_cycle->log) : nullptr;
  if (shutdown_ == nullptr)
    return;
  shutdown_->data = this;
  shutdown_->idle = 1;
  shutdown_->read->log = shutdown_->write->log = ngx_cycle->log;
  shutdown_->read->handler = shutdown_->write->handler = [](ngx_event_t *event) {
    auto *connection = static_cast<ngx_connection_t *>(event->data);
    if (connection->close) {
      connection->close = 0;
      ngx::guarded(event->log, [&] { static_cast<Process *>(connection->data)->drain(); });
    }
  };
}

void Process::run_soon() {
  if (!run_task_.linked())
    loop_.post(run_task_);
}

void Process::run_after(std::int64_t ms) {
  if (ms <= 0) {
    if (!run_task_.linked())
      loop_.post_next(run_task_);
    return;
  }
  if (retry_timer_->pending() && retry_due_ms_ <= now_ms() + ms)
    return;
  retry_due_ms_ = now_ms() + ms;
  retry_timer_->set(ms);
}

void Process::run() {
  intake_.run(now_ms());
  turnstile_.run();
  retries_.run(now_ms());
  jobs_.run(now_ms());
  events_.run(now_ms());
  user_events_.run(now_ms());
  hub_.run();
  for (const std::string &owner : std::exchange(owners_, {}))
    bus_.publish(wire::user_id(owner), 0, "user");
  List<Flush, Flush> all;  // each may end, or others with it, and bring new ones
  all.take_all(flushes_);
  while (Flush *one = all.pop_front())
    one->flush();
}

void Process::flush_soon(Flush &flush) {
  flushes_.push_back(flush);
  run_soon();
}

std::size_t Process::ticks_to(ngx_msec_t ping_ms, std::int64_t expires_ms) const {
  auto ms = static_cast<std::int64_t>(ping_ms);
  if (expires_ms != 0)
    ms = std::clamp<std::int64_t>(expires_ms - now_ms() + kTickMs, kTickMs, ms);  // never before
  return static_cast<std::size_t>(std::max<std::int64_t>(1, ms / kTickMs));
}

void Process::due_in(core::TimerEntry &spoke, std::int64_t ms) {
  // the tick that is under way is shorter than a whole one
  auto ticks = static_cast<std::size_t>((ms + kDeadlineTickMs - 1) / kDeadlineTickMs);
  deadlines_.put(spoke, deadline_timer_->pending() ? ticks + 1 : ticks);
  deadlines_until_ms_ = now_ms() + 2048 * kDeadlineTickMs;
  if (!deadline_timer_->pending())
    deadline_timer_->set(kDeadlineTickMs);
}

void Process::connected(pg::Connection &connection) {
  // whoever finds PostgreSQL first tells the others: else a read fails in its back-off after a write went
  // through
  for (pg::Connection *other : {&write_, &read_, &bulk_})
    other->nudge();
  for (Greeting &greeting : greetings_) {
    if (&greeting.connection != &connection)
      continue;
    greeting.timeline.clear();
    // the queues are made where we write
    store_.hello(connection, &connection == &write_ ? lanes_ : std::vector<pg::Lane>(), greeting.reply);
  }
  if (&connection == &read_)
    reread_.reset();
}

void Process::said_hello(Greeting &greeting, Result<pg::Hello> hello) {
  if (!hello) {
    if (hello.error().code != Code::unavailable)
      log_.error("cannot query schema \"await\", run \"await-ctl migrate\": " + hello.error().detail);
    return;
  }
  greeting.timeline = hello->timeline;
  if (!hello->unmade.empty())
    log_.error("cannot create queues: " + hello->unmade);
  if (&greeting.connection == &read_) {
    // one line for all nginx workers, and none again at a reconnect
    if (std::exchange(schema_version_, hello->schema_version) != hello->schema_version && ngx_worker == 0) {
      if (std::string mismatch = pg::schema_mismatch(hello->schema_version); !mismatch.empty())
        log_.error(mismatch);
    }
    clock_offset_ms_ = hello->now_ms - loop_.unix_ms();
    auto before = std::exchange(timeline_, core::timeline_hash(hello->timeline));
    if (before != 0 && before != timeline_) {
      jobs_.history_changed();
      events_.history_changed();
      user_events_.history_changed();
      hub_.history_changed();
    }
    keep_ms_ = hello->keep_ms;
    learn(*hello);
    reread_.run();  // what happened while we were away
    revocations_.look();
  }
  agree();
}

void Process::learn(const pg::Hello &hello) {
  if (!keys_.empty() && !hello.keys.empty() && keys_.front() != hello.keys.front()) {
    elder_key_ = keys_.front();
    elder_until_ms_ = now_ms() + 3 * reread_ms_;  // by when every node has looked
  }
  keys_ = hello.keys;
  hints_.learn(hello.timeline, keys_);
  std::vector<std::string> signers = keys_;
  auto elder = std::find(signers.begin(), signers.end(), elder_key_);
  if (now_ms() < elder_until_ms_ && elder != signers.end())
    std::rotate(signers.begin(), elder, elder + 1);
  cursor_keys_.clear();
  for (const std::string &key : signers)
    cursor_keys_.push_back(wire::cursor_key(key));
}

void Process::look_for_keys() { ask_for_keys_at(keys_asked_ms_ + kKeysIdleMs); }

void Process::look_for_keys(Guest &guest) {
  seekers_.push_back(guest);
  ask_for_keys_at(keys_asked_ms_ + kKeysMs);
}

void Process::ask_for_keys_at(std::int64_t due_ms) {
  if (keys_timer_->pending() && keys_due_ms_ <= due_ms)
    return;
  keys_due_ms_ = due_ms;
  keys_timer_->set(std::max<std::int64_t>(0, due_ms - now_ms()));
}

void Process::ask_for_keys() {
  if (keys_reply_.waiting()) {  // the last one is not answered yet
    ask_for_keys_at(now_ms() + kKeysMs);
    return;
  }
  keys_asked_ms_ = now_ms();
  asking_.take_all(seekers_);
  store_.hello(read_, {}, keys_reply_);
}

void Process::said_keys(Result<pg::Hello> hello) {
  keys_are_fresh_ = static_cast<bool>(hello);
  if (hello && core::timeline_hash(hello->timeline) == timeline_)  // else its connection's greeting will tell
    learn(*hello);
  List<Guest, Guest> all;  // each may destroy others
  all.take_all(asking_);
  while (Guest *guest = all.pop_front())
    guest->met(Done());
}

void Process::introduce(Guest &guest) {
  guests_.push_back(guest);
  if (!introduction_.waiting())
    store_.hello(read_, {}, introduction_);  // answered after the one that every connection begins with
}

void Process::introduced(Result<pg::Hello>) {
  List<Guest, Guest> all;  // each may destroy others
  all.take_all(guests_);
  while (Guest *guest = all.pop_front())
    guest->met(Done());
}

/// After a failover the old primary may come back and answer as if nothing had happened: what is read
/// there is not the truth. Who writes has found the newer history, or is the one to leave.
void Process::agree() {
  const std::string &truth = greetings_[0].timeline;
  for (Greeting &greeting : greetings_) {
    if (!write_.ready() || !greeting.connection.ready() || truth.empty() || greeting.timeline.empty() ||
        greeting.timeline == truth)
      continue;
    bool newer = pg::is_older(truth, greeting.timeline);
    (newer ? write_ : greeting.connection).drop("another connection found a server with a newer timeline");
    if (newer)
      return;
  }
}

bool Process::past_retention(const Uuid &id) const {
  if (!id.is_v7() || id.retention() >= keep_ms_.size() || keep_ms_[id.retention()] == 0)
    return false;
  return id.unix_ms() + keep_ms_[id.retention()] < database_ms();
}

void Process::reread() {
  reread_timer_->set(reread_ms_);
  reread_.run();
  look_for_keys();
  if (!held_.empty())
    revocations_.look();
  hub_.sweep();
  if (write_.ready())
    store_.tick();
}

void Process::measure() {
  counters_.set(Gauge::held, static_cast<std::int64_t>(hub_.listeners()));
  counters_.set(Gauge::watched, static_cast<std::int64_t>(hub_.jobs()));
  counters_.set(Gauge::postgres,
                (write_.ready() ? 1 : 0) + (read_.ready() ? 1 : 0) + (bulk_.ready() ? 1 : 0));
  counters_.set(Gauge::redis, bus_.ready());
  counters_.set(Gauge::draining, draining_ ? 1 : 0);
  for (pg::Connection *connection : {&write_, &read_, &bulk_})
    counters_.count(Counter::statements, connection->take_count());
}

core::EndedJobCache *Process::memory(ngx_shm_zone_t *zone) {
  return zone != nullptr ? &caches_.try_emplace(zone, zone).first->second : nullptr;
}

namespace {

/// 0 for nobody.
std::uint64_t tag_of(std::string_view owner) { return owner.empty() ? 0 : siphash(hash_seed(), owner) | 1; }

}  // namespace

void Process::register_held(ngx::Held &held) {
  held.set_owner_tag(tag_of(owner_of(held.request()).value_or("")));
  (draining_ ? told_ : held_).push_back(held);
}

void Process::end_all_of(const std::string &owner) {
  std::uint64_t tag = tag_of(owner);
  List<ngx::Held, ngx::IsHeld> theirs;
  for (auto *list : {&held_, &told_}) {
    list->each([&](ngx::Held &one) {
      if (tag != 0 && one.owner_tag() == tag && !one.finished())
        theirs.push_back(one);
    });
  }
  while (ngx::Held *one = theirs.pop_front()) {  // each may end, or others with it
    (draining_ ? told_ : held_).push_back(*one);
    counters_.count(Counter::revoked);
    one->revoke();
  }
}

void Process::drain() {
  draining_ = true;
  drain_began_ms_ = now_ms();
  std::size_t n = 0;
  held_.each([&](ngx::Held &) { ++n; });
  // all are told within half of the time: a herd sent away in one instant comes back in one
  auto ticks = static_cast<std::size_t>(std::max<std::int64_t>(1, drain_ms_ / 2 / kDrainTickMs));
  drain_step_ = std::max(kDrainAtLeast, n / ticks + 1);
  drain_some();
}

void Process::drain_some() {
  std::int64_t passed = now_ms() - drain_began_ms_;
  for (std::size_t i = 0; i < drain_step_; ++i) {
    ngx::Held *one = held_.front();
    if (one == nullptr)
      break;
    told_.push_back(*one);
    if (!one->finished())
      one->drain();
  }
  List<ngx::Held, ngx::IsHeld> late;  // each may end, or others with it
  if (passed >= drain_ms_ * 4 / 5)
    late.take_all(told_);
  while (ngx::Held *one = late.pop_front()) {
    told_.push_back(*one);
    if (passed >= drain_ms_) {
      counters_.count(Counter::cut);
      one->cut();
    } else if (!one->finished()) {
      one->give_up();
    }
  }
  if (!held_.empty() || !told_.empty())
    drain_timer_->set(kDrainTickMs);
}

Process *process() { return the_process.get(); }

// nginx's helpers (cache manager and loader) begin like its workers; they serve nobody.
ngx_int_t start_process(ngx_cycle_t *cycle) {
  if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    return NGX_OK;
  auto *location_conf =
      static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_await_module));
  if (location_conf == nullptr || location_conf->used_by.len == 0)
    return NGX_OK;
  return ngx::guarded(cycle->log, ngx_int_t{NGX_ERROR}, [&]() -> ngx_int_t {
    static const bool seeded = [] {  // once: without a master process a reload comes here again
      set_hash_seed(io::Random().seed());
      return true;
    }();
    static_cast<void>(seeded);
    the_process = std::make_unique<Process>(cycle, *location_conf);
    return NGX_OK;
  });
}

void end_process(ngx_cycle_t *) { the_process.reset(); }

}  // namespace await::http
