#include "pg/connection.h"

#include <algorithm>
#include <cstring>

#include "base/redact.h"

namespace await::pg {
namespace {

std::string one_line(const char *text) {
  std::string out(text != nullptr ? text : "");
  std::replace(out.begin(), out.end(), '\n', ' ');
  while (!out.empty() && out.back() == ' ')
    out.pop_back();
  return out;
}

/// Maps an SQLSTATE (PostgreSQL manual, appendix A) to a Code.
/// @param constraint  the violated constraint; null if there is none with a name
Code code_of(const char *state, const char *constraint) {
  if (state == nullptr || std::strlen(state) != 5)
    return Code::unavailable;
  std::string_view kind(state, 2);
  // a limit of await.limits; or there is no partition for the row, which is not the fault of the client
  if (std::strcmp(state, "53400") == 0 || (std::strcmp(state, "23514") == 0 && constraint == nullptr))
    return Code::exhausted;
  if (kind == "08" || kind == "57" || kind == "53" || kind == "25")
    return Code::unavailable;  // connection, shutdown, out of resources, a read-only standby
  if (std::strcmp(state, "55P03") == 0 || kind == "40")
    return Code::conflict;  // lock not available, serialisation, deadlock
  if (kind == "22" || kind == "23" || kind == "54")
    return Code::invalid;  // bad data, a constraint, too large for an index
  return kind == "42" && std::strcmp(state, "42501") == 0 ? Code::forbidden : Code::internal;
}

}  // namespace

Connection::Connection(io::Loop &loop, io::Log &log, io::Random &random, Options options, Observer *observer)
    : loop_(loop),
      log_(log),
      random_(random),
      options_(std::move(options)),
      observer_(observer),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)),
      deadline_(loop.timer([this] { lost("timeout waiting for a response"); }, io::Loop::Quit::must_not)) {}

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

void Connection::connect() {
  // defaults that prevent libpq from blocking, from waiting forever and from using a standby; conninfo
  // overrides them
  std::string name = std::string("nginx-await-") + options_.role;
  const char *keywords[] = {"fallback_application_name", "gssencmode", "tcp_user_timeout",
                            "target_session_attrs",      "dbname",     nullptr};
  const char *values[] = {name.c_str(), "disable", "10000", "read-write", options_.conninfo.c_str(), nullptr};
  pg_.reset(PQconnectStartParams(keywords, values, 1));
  state_ = State::connecting;
  connect_began_ = loop_.monotonic_ms();
  if (!pg_ || PQstatus(pg_.get()) == CONNECTION_BAD) {
    lost(message());
    return;
  }
  timer_->set(options_.connect_ms);
  watch_socket(false, true);  // as after PGRES_POLLING_WRITING (manual, 34.1)
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
      lost(message());
      return;
  }
  if (is_read_only()) {
    lost("the server is read-only (a standby)");
    return;
  }
  if (PQsetnonblocking(pg_.get(), 1) != 0 || PQenterPipelineMode(pg_.get()) != 1) {
    lost(message());
    return;
  }
  PQsetNoticeProcessor(
      pg_.get(), [](void *, const char *) {}, nullptr);
  timer_->clear();
  backoff_.reset();
  state_ = State::ready;
  if (told_down_)
    log_.info(std::string("reconnected to PostgreSQL (") + options_.role + ")");
  told_down_ = false;
  if (observer_ != nullptr)
    observer_->connected(*this);
  auto waiting = std::move(queued_);
  queued_.clear();
  for (auto &statement : waiting)
    send(std::move(statement));
  if (state_ == State::ready)
    pump();
}

void Connection::send(std::unique_ptr<Statement> statement) {
  std::int64_t now = loop_.monotonic_ms();
  if (state_ == State::connecting && now - connect_began_ < options_.connect_ms) {
    queued_.push_back(std::move(statement));
    return;
  }
  if (state_ != State::ready) {
    fail_later(std::move(statement), Code::unavailable, "PostgreSQL is unavailable");
    return;
  }
  statement->sent_at = now;
  ++count_;
  Statement &sending = *statement;
  sent_.push_back(std::move(statement));
  if (!deadline_->pending())
    deadline_->set(options_.timeout_ms);
  transmit(sending);
}

void Connection::transmit(Statement &statement) {
  auto values = statement.params.pointers();
  auto lengths = statement.params.lengths();
  std::vector<int> formats(values.size(), 1);
  if (PQsendQueryParams(pg_.get(), statement.sql, statement.params.count(), statement.params.types(),
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
  if (state_ == State::ready)
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
      observer_->notified(*this, one->relname, one->extra);
  }
}

void Connection::take_results() {
  int nulls = 0;  // one ends the results of a statement; two in a row: nothing more was received
  while (state_ == State::ready && !sent_.empty() && nulls < 2 && PQisBusy(pg_.get()) == 0) {
    PGresult *result = PQgetResult(pg_.get());
    nulls = result == nullptr ? nulls + 1 : 0;
    if (result != nullptr && !take_result(result))
      return;
  }
  if (state_ == State::ready && PQstatus(pg_.get()) == CONNECTION_BAD)
    lost(message());
  else if (state_ == State::ready && is_read_only())
    lost("the server has become read-only");
}

/// Uses what the server reports by itself since version 14 (manual, 34.2 PQparameterStatus).
bool Connection::is_read_only() const {
  for (const char *name : {"in_hot_standby", "default_transaction_read_only"}) {
    const char *value = PQparameterStatus(pg_.get(), name);
    if (value != nullptr && std::strcmp(value, "on") == 0)
      return true;
  }
  return false;
}

/// Returns false if the connection was lost; then do not access it.
bool Connection::take_result(PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_PIPELINE_SYNC) {
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      rows_ = std::make_unique<Rows>(result);
      return true;
    }
    failure_ = std::make_unique<Error>(error_of(result));
    PQclear(result);
    return true;
  }
  PQclear(result);
  auto statement = std::move(sent_.front());
  sent_.pop_front();
  auto rows = std::move(rows_);
  auto failure = std::move(failure_);
  if (sent_.empty())
    deadline_->clear();
  else
    deadline_->set(
        std::max<std::int64_t>(1, sent_.front()->sent_at + options_.timeout_ms - loop_.monotonic_ms()));
  bool fatal = failure && failure->code == Code::unavailable;
  if (failure) {
    if (failure->code == Code::internal || failure->code == Code::forbidden)
      log_.error("statement \"" + std::string(statement->sql) + "\" failed: " + failure->detail);
    statement->finish(*failure);
  } else if (rows) {
    statement->finish(std::move(*rows));
  } else {
    statement->finish(Error{Code::internal, "PostgreSQL returned no result"});
  }
  if (fatal && state_ == State::ready)
    lost(failure->detail);  // the server is shutting down or is a standby now: reconnect
  return state_ == State::ready;
}

Error Connection::error_of(PGresult *result) const {
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  return {code_of(state, PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME)),
          std::string("PostgreSQL ") + (state != nullptr ? state : "(no SQLSTATE)") + ": " +
              one_line(primary != nullptr ? primary : PQresultErrorMessage(result))};
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
  bool connecting = state_ == State::connecting;
  drop_watch();
  pg_.reset();
  state_ = State::waiting;
  rows_.reset();
  failure_.reset();
  deadline_->clear();
  if (!told_down_)
    log_.error(std::string(connecting ? "cannot connect to" : "lost connection to") + " PostgreSQL (" +
               options_.role + "), retrying: " + why);
  told_down_ = true;
  for (auto *statements : {&sent_, &queued_}) {
    for (auto &statement : *statements)
      fail_later(std::move(statement), Code::unavailable, "PostgreSQL is unavailable: " + why);
    statements->clear();
  }
  timer_->set(backoff_.next(random_.unit()));
}

void Connection::on_timer() {
  if (state_ == State::connecting)
    lost("connect timeout");
  else
    connect();
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
