#include "pg/connection.h"

#include <algorithm>

#include "base/redact.h"
#include "pg/failure.h"
#include "pg/session.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

constexpr std::size_t kMostReason = 600;

}  // namespace

Connection::Connection(io::Loop &loop, io::Log &log, io::Random &random, Options options, Observer *observer)
    : loop_(loop),
      log_(log),
      random_(random),
      options_(std::move(options)),
      observer_(observer),
      limits_(session::limits(options_.timeout_ms)),
      outage_(loop, log),
      statement_outage_(loop, log),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)),
      deadline_(loop.timer([this] { on_deadline(); }, io::Loop::Quit::may)),
      hold_(loop.timer([this] { update_hold(); }, io::Loop::Quit::must_not)),
      patience_(loop.timer([this] { expire_queued(); }, io::Loop::Quit::may)) {}

Connection::~Connection() {
  drop_watch();  // before libpq closes the descriptor
}

void Connection::start() {
  if (state_ == State::idle)
    connect();
}

void Connection::nudge() {
  if (state_ == State::waiting)
    timer_->set(0);
}

/// Begins a round of attempts, one for each host.
void Connection::connect() {
  state_ = State::connecting;
  reasons_.clear();
  auto hosts = read_hosts(options_.conninfo);
  if (!hosts) {
    wait_to_connect("cannot connect to", hosts.error().detail);
    return;
  }
  hosts_ = std::move(*hosts);
  auto first = first_ ? std::find(hosts_.list.begin(), hosts_.list.end(), *first_) : hosts_.list.begin();
  if (first != hosts_.list.end())
    std::rotate(hosts_.list.begin(), first, hosts_.list.end());
  if (last_)
    std::stable_partition(hosts_.list.begin(), hosts_.list.end(), [&](auto &one) { return one != *last_; });
  host_ = 0;
  connect_to_host();
}

void Connection::connect_to_host() {
  drop_watch();
  const Host &host = hosts_.list[host_];
  std::string name = std::string("nginx-await-") + options_.role;
  std::string startup = hosts_.startup;
  if (!plain_)  // before those of the conninfo, which override it
    startup.insert(0, session::startup_options(options_.timeout_ms) + (startup.empty() ? "" : " "));
  // defaults that prevent libpq from blocking, from waiting forever and from using a standby; the options
  // of the conninfo come later and override them
  std::vector<const char *> keywords{"fallback_application_name", "gssencmode", "tcp_user_timeout",
                                     "target_session_attrs", "client_encoding"};
  std::vector<const char *> values{name.c_str(), "disable", "10000", "read-write", "UTF8"};
  auto add = [&](const char *keyword, const std::string &value) {
    keywords.push_back(keyword);
    values.push_back(value.c_str());
  };
  for (const auto &[keyword, value] : hosts_.options)
    add(keyword.c_str(), value);
  add("host", host.host);
  add("hostaddr", host.hostaddr);
  add("port", host.port);
  add("options", startup);
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  pg_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!pg_ || PQstatus(pg_.get()) == CONNECTION_BAD) {
    give_up_host(message());
    return;
  }
  timer_->set(share_ms());
  watch_socket(false, true);  // as after PGRES_POLLING_WRITING (manual, 34.1)
}

std::int64_t Connection::share_ms() const {
  if (hosts_.connect_timeout_ms > 0)
    return hosts_.connect_timeout_ms;
  return hosts_.list.size() > 1 ? options_.share_ms : options_.connect_ms;
}

/// Tries the next host; after the last one, waits.
void Connection::give_up_host(const std::string &why) {
  drop_watch();
  pg_.reset();
  if (!plain_ && session::refuses_startup(why)) {
    plain_ = true;
    connect_to_host();
    return;
  }
  if (reasons_.find(why) == std::string::npos && reasons_.size() < kMostReason)
    reasons_ += (reasons_.empty() ? "" : "; ") + why.substr(0, kMostReason);
  if (++host_ < hosts_.list.size()) {
    connect_to_host();
    return;
  }
  last_.reset();
  wait_to_connect("cannot connect to", reasons_);
}

void Connection::watch_socket(bool readable, bool writable) {
  int fd = PQsocket(pg_.get());
  if (fd < 0) {
    lost("socket closed unexpectedly");
    return;
  }
  if (!watch_ || fd != watched_fd_) {
    drop_watch();
    watch_ = loop_.watch(fd, [this] { on_socket(); });
    watched_fd_ = fd;
    if (!watch_) {
      lost("worker_connections are not enough");
      return;
    }
  }
  watch_->want(readable, writable);
}

void Connection::on_socket() {
  if (state_ == State::connecting)
    poll_connect();
  else
    pump();
}

void Connection::poll_connect() {
  drop_watch();  // libpq may close its socket and open another within PQconnectPoll
  switch (PQconnectPoll(pg_.get())) {
    case PGRES_POLLING_READING:
      watch_socket(true, false);
      return;
    case PGRES_POLLING_WRITING:
      watch_socket(false, true);
      return;
    case PGRES_POLLING_OK:
      break;
    default:
      give_up_host(message());
      return;
  }
  on_established();
}

void Connection::on_established() {
  if (session::is_read_only(pg_.get())) {
    give_up_host(hosts_.list[host_].text() + " is read-only (a standby)");
    return;
  }
  if (PQsetnonblocking(pg_.get(), 1) != 0 || PQenterPipelineMode(pg_.get()) != 1) {
    give_up_host(message());
    return;
  }
  PQsetNoticeReceiver(pg_.get(), on_notice, this);
  timer_->clear();
  proven_ = false;
  direct_ = false;
  has_settings_ = false;
  state_ = State::greeting;
  watch_socket(true, false);
  if (state_ != State::greeting)
    return;
  check_settings();
  if (observer_ == nullptr) {
    state_ = State::ready;
    first_ = hosts_.list[host_];
    end_abandoned();
  } else {
    observer_->connected(*this);
  }
  send_queued();
  if (established())
    pump();
}

/// Asks whether the session is that of the server and has the settings of session::startup_options(). If not,
/// they are sent with each statement; not with this one, from which they would hide those of the session.
void Connection::check_settings() {
  struct Check : Statement {
    Check(Connection &to, Params values) : Statement(session::kCheck, std::move(values)), owner(to) {}
    void finish(Result<Rows> rows) override {
      owner.direct_ = rows && rows->count() == 1 && rows->boolean(0, 0);
      owner.has_settings_ = owner.direct_ && rows->boolean(0, 1);
      owner.transmit_next();
    }
    Connection &owner;
  };
  Params params;
  params.int4(PQbackendPID(pg_.get()));
  auto check = std::make_unique<Check>(*this, std::move(params));
  check->greets = true;
  check->background = true;
  check->bare = true;
  send(std::move(check));
}

void Connection::accept() {
  if (state_ != State::greeting)
    return;
  state_ = State::ready;
  first_ = hosts_.list[host_];
  last_.reset();
  prove();
  end_abandoned();
  send_queued();
}

void Connection::on_deadline() {
  if (!sent_.empty())
    abandoned_ = {PQbackendPID(pg_.get()), sent_.front()->sql};
  lost("timeout waiting for a response");
}

/// A backend that waits for a lock or for a standby stays after its client has left, and each attempt would
/// add one.
void Connection::end_abandoned() {
  struct Terminate : Statement {
    explicit Terminate(Params values) : Statement(statements::kTerminate, std::move(values)) {
      background = true;
    }
    void finish(Result<Rows>) override {}
  };
  if (!abandoned_)
    return;
  Params params;
  params.int4(abandoned_->backend).text(abandoned_->sql);
  abandoned_.reset();
  send(std::make_unique<Terminate>(std::move(params)));
}

/// Only now is the outage over: a pooler or a proxy accepts connections without a server behind it.
void Connection::prove() {
  if (std::exchange(proven_, true))
    return;
  backoff_.reset();
  trouble_.recover(std::string("reconnected to PostgreSQL (") + options_.role + ")");
}

void Connection::reject(const std::string &why) {
  if (!established())
    return;
  last_ = hosts_.list[host_];
  first_.reset();
  lost(why);
}

void Connection::send(std::unique_ptr<Statement> statement) {
  std::int64_t now = loop_.monotonic_ms();
  statement->sent_at = now;
  if (state_ == State::connecting || (state_ == State::greeting && !statement->greets)) {
    queued_.push_back(std::move(statement));
    if (!patience_->pending())
      patience_->set(options_.patience_ms);
    return;
  }
  if (!established()) {
    fail_later(std::move(statement), Code::unavailable, "PostgreSQL is unavailable");
    return;
  }
  if (!statement->background) {
    ++count_;
    ++awaited_;
  }
  sent_.push_back(std::move(statement));
  update_hold();
  transmit_next();
  if (!sent_.empty() && !deadline_->pending())
    deadline_->set(options_.timeout_ms);
}

/// The process quits when no such timer is left. It is the deadline's business to end what takes too long.
void Connection::update_hold() {
  if (awaited_ == 0)
    hold_->clear();
  else if (!hold_->pending())
    hold_->set(options_.timeout_ms);
}

/// PgBouncer gives a server back when a result is complete, also while the client is in the middle of its
/// next message: the rest of it then goes to another server. So behind a pooler there is one statement at a
/// time.
void Connection::transmit_next() {
  while (established() && transmitted_ < sent_.size() && (has_settings_ || transmitted_ == 0)) {
    Statement &next = *sent_[transmitted_++];
    next.sent_at = loop_.monotonic_ms();
    transmit(next);
  }
}

void Connection::send_queued() {
  auto waiting = std::exchange(queued_, {});
  patience_->clear();
  for (auto &statement : waiting) {
    std::int64_t since = statement->sent_at;
    Statement *sending = statement.get();
    send(std::move(statement));
    if (!queued_.empty() && queued_.back().get() == sending)
      sending->sent_at = since;  // it still waits
  }
  if (!queued_.empty())
    expire_queued();  // sets the timer
}

/// Statements that have waited too long fail, so that a client gets its answer while hosts are tried.
void Connection::expire_queued() {
  std::int64_t now = loop_.monotonic_ms();
  while (!queued_.empty() && queued_.front()->sent_at + options_.patience_ms <= now) {
    fail_later(std::move(queued_.front()), Code::unavailable,
               "PostgreSQL is unavailable: timeout waiting for a connection");
    queued_.pop_front();
  }
  if (!queued_.empty())
    patience_->set(std::max<std::int64_t>(1, queued_.front()->sent_at + options_.patience_ms - now));
}

void Connection::transmit(Statement &statement) {
  auto before = [this](const char *sql) {
    return PQsendQueryParams(pg_.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 1) == 1;
  };
  auto values = statement.params.pointers();
  auto lengths = statement.params.lengths();
  std::vector<int> formats(values.size(), 1);
  if ((!has_settings_ && !statement.bare && (!before(session::kIsolation) || !before(limits_.c_str()))) ||
      PQsendQueryParams(pg_.get(), statement.sql, statement.params.count(), statement.params.types(),
                        values.data(), lengths.data(), formats.data(), 1) != 1 ||
      PQpipelineSync(pg_.get()) != 1) {
    lost(message());
    return;
  }
  statement.params = {};  // libpq has its copy
  int left = PQflush(pg_.get());
  if (left < 0)
    lost(message());
  else
    watch_socket(true, left == 1);
}

void Connection::pump() {
  if (PQconsumeInput(pg_.get()) != 1) {
    lost(message());
    return;
  }
  int left = PQflush(pg_.get());
  if (left < 0) {
    lost(message());
    return;
  }
  watch_socket(true, left == 1);
  if (established())
    take_results();
  take_notifications();
}

/// They arrive between results, and also when nothing was asked.
void Connection::take_notifications() {
  while (state_ == State::ready) {
    std::unique_ptr<PGnotify, void (*)(void *)> one(PQnotifies(pg_.get()), PQfreemem);
    if (!one)
      return;
    if (observer_ != nullptr)
      observer_->on_notification(*this, one->relname, one->extra);
  }
}

void Connection::take_results() {
  int nulls = 0;  // one ends the results of a statement; two in a row: nothing more was received
  while (established() && !sent_.empty() && nulls < 2 && PQisBusy(pg_.get()) == 0) {
    PGresult *result = PQgetResult(pg_.get());
    nulls = result == nullptr ? nulls + 1 : 0;
    if (result != nullptr && !take_result(result))
      return;
  }
  if (established() && PQstatus(pg_.get()) == CONNECTION_BAD)
    lost(message());
  else if (established() && session::is_read_only(pg_.get()))
    lost("the server has become read-only");
}

/// Returns false if the connection was lost; then do not access it.
bool Connection::take_result(PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_PIPELINE_SYNC) {
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      rows_ = std::make_unique<Rows>(result);
      return true;
    }
    Failure failure = failure_of(result);
    PQclear(result);
    if (!failure_) {  // what follows it in the transaction is only said to be skipped
      fatal_ = failure.fatal;
      failure_ = std::make_unique<Error>(std::move(failure.error));
    }
    return true;
  }
  PQclear(result);
  auto statement = std::move(sent_.front());
  sent_.pop_front();
  --transmitted_;
  if (!statement->background)
    --awaited_;
  update_hold();
  auto rows = std::move(rows_);
  auto failure = std::move(failure_);
  bool fatal = std::exchange(fatal_, false);
  if (!fatal)
    transmit_next();
  if (sent_.empty())
    deadline_->clear();
  else
    deadline_->set(
        std::max<std::int64_t>(1, sent_.front()->sent_at + options_.timeout_ms - loop_.monotonic_ms()));
  if (!failure && observer_ == nullptr)
    prove();
  if (failure) {
    if (failure->code == Code::internal || failure->code == Code::forbidden)
      failed_statement_.fail("statement \"" + std::string(statement->sql) + "\" failed: " + failure->detail);
    statement->finish(*failure);
  } else if (rows) {
    statement->finish(std::move(*rows));
  } else {
    statement->finish(Error{Code::internal, "PostgreSQL returned no result"});
  }
  if (fatal && established())
    lost(failure->detail);  // the server is shutting down or is a standby now: reconnect
  return established();
}

void Connection::on_notice(void *self, const PGresult *result) noexcept {
  try {
    if (std::string warning = warning_of(result); !warning.empty())
      static_cast<Connection *>(self)->log_.error(warning);
  } catch (...) {  // out of memory: only a log line is lost
  }
}

std::string Connection::message() const {
  if (!pg_)
    return "out of memory";
  const char *password = PQpass(pg_.get());
  return scrub(one_line(PQerrorMessage(pg_.get())), password != nullptr ? password : "");
}

/// If libpq has closed its socket because the connection broke, the descriptor must not be unregistered.
void Connection::drop_watch() {
  if (watch_ && PQsocket(pg_.get()) != watched_fd_)
    watch_->closed();
  watch_.reset();
}

void Connection::lost(const std::string &why) {
  if (state_ == State::connecting)
    give_up_host(why);
  else
    wait_to_connect("lost connection to", why);
}

void Connection::wait_to_connect(const std::string &line, const std::string &why) {
  drop_watch();
  pg_.reset();
  state_ = State::waiting;
  rows_.reset();
  failure_.reset();
  transmitted_ = 0;
  awaited_ = 0;
  fatal_ = false;
  deadline_->clear();
  hold_->clear();
  patience_->clear();
  trouble_.fail(line + " PostgreSQL (" + options_.role + "), retrying: " + why);
  for (auto *statements : {&sent_, &queued_}) {
    for (auto &statement : *statements)
      fail_later(std::move(statement), Code::unavailable, "PostgreSQL is unavailable: " + why);
    statements->clear();
  }
  timer_->set(backoff_.next(random_.unit()));
}

void Connection::on_timer() {
  if (state_ != State::connecting) {
    connect();
    return;
  }
  std::int64_t ms = share_ms();
  give_up_host("connection to " + hosts_.list[host_].text() + " failed: no answer within " +
               (ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms"));
}

void Connection::fail_later(std::unique_ptr<Statement> statement, Code code, std::string why) {
  failed_.push_back({std::move(statement), {code, std::move(why)}});
  loop_.post(fail_task_);
}

void Connection::deliver_failures() {
  auto failed = std::move(failed_);
  failed_.clear();
  for (auto &item : failed)
    item.statement->finish(item.error);
}

}  // namespace await::pg
