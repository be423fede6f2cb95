#include "pg/connection.h"

#include <algorithm>

#include "pg/failure.h"
#include "pg/session.h"
#include "pg/statements.h"

namespace await::pg {
Connection::Connection(io::Loop &loop, io::Log &log, io::Random &random, Options options, Observer *observer)
    : loop_(loop),
      log_(log),
      random_(random),
      options_(std::move(options)),
      observer_(observer),
      limits_(session::limits(options_.timeout_ms)),
      outage_(loop, log),
      statement_outage_(loop, log),
      link_(loop, [this] { on_socket(); }),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)),
      deadline_(loop.timer([this] { on_deadline(); }, io::Loop::Quit::may)),
      hold_(loop.timer([this] { update_hold(); }, io::Loop::Quit::must_not)),
      patience_(loop.timer([this] { expire_queued(); }, io::Loop::Quit::may)) {}

Connection::~Connection() = default;

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
    return PQsendQueryParams(link_.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 1) == 1;
  };
  if ((!has_settings_ && !statement.bare && (!before(session::kIsolation) || !before(limits_.c_str()))) ||
      (statement.limit_ms > 0 && !before(session::limit(statement.limit_ms).c_str())) ||
      !transmit_sql(statement) || PQpipelineSync(link_.get()) != 1) {
    lost(link_.failure());
    return;
  }
  statement.params = {};  // libpq has its copy
  int left = PQflush(link_.get());
  if (left < 0)
    lost(link_.failure());
  else
    watch_socket(true, left == 1);
}

bool Connection::transmit_sql(const Statement &statement) {
  const Params &params = statement.params;
  auto values = params.pointers();
  auto lengths = params.lengths();
  std::vector<int> formats(values.size(), 1);
  const char *name = prepare(statement);
  if (name == nullptr)
    return PQsendQueryParams(link_.get(), statement.sql, params.count(), params.types(), values.data(),
                             lengths.data(), formats.data(), 1) == 1;
  return PQsendQueryPrepared(link_.get(), name, params.count(), values.data(), lengths.data(), formats.data(),
                             1) == 1;
}

/// The name under which the session knows the statement, or null. If it cannot be sent, what follows cannot.
const char *Connection::prepare(const Statement &statement) {
  if (!statement.prepared || !direct_)
    return nullptr;
  auto [at, added] = prepared_.try_emplace(statement.sql);
  std::string &name = at->second;
  if (added) {
    name = "await_" + std::to_string(prepared_.size());
    PQsendPrepare(link_.get(), name.c_str(), statement.sql, statement.params.count(),
                  statement.params.types());
  }
  return name.empty() ? nullptr : name.c_str();
}

void Connection::pump() {
  if (PQconsumeInput(link_.get()) != 1) {
    lost(link_.failure());
    return;
  }
  int left = PQflush(link_.get());
  if (left < 0) {
    lost(link_.failure());
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
    std::unique_ptr<PGnotify, void (*)(void *)> one(PQnotifies(link_.get()), PQfreemem);
    if (!one)
      return;
    if (observer_ != nullptr)
      observer_->on_notification(*this, one->relname, one->extra);
  }
}

void Connection::take_results() {
  int nulls = 0;  // one ends the results of a statement; two in a row: nothing more was received
  while (established() && !sent_.empty() && nulls < 2 && PQisBusy(link_.get()) == 0) {
    PGresult *result = PQgetResult(link_.get());
    nulls = result == nullptr ? nulls + 1 : 0;
    if (result != nullptr && !take_result(result))
      return;
  }
  if (established() && PQstatus(link_.get()) == CONNECTION_BAD)
    lost(link_.failure());
  else if (established() && session::is_read_only(link_.get()))
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
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      lost("an answer that nobody has asked for: COPY");  // libpq would go on to return it for ever
      return false;
    }
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
  if (!fatal && !statement->bare)  // whose answer decides how the next one is sent
    transmit_next();
  if (sent_.empty())
    deadline_->clear();
  else
    deadline_->set(
        std::max<std::int64_t>(1, sent_.front()->sent_at + options_.timeout_ms - loop_.monotonic_ms()));
  if (!failure && observer_ == nullptr)
    prove();
  if (failure) {
    if (statement->prepared && failure->code == Code::internal)
      prepared_[statement->sql].clear();
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
  auto &connection = *static_cast<Connection *>(self);
  try {
    if (std::string warning = warning_of(result); !warning.empty())
      connection.log_.error(warning);
    if (std::string why = unreplicated_commit(result); !why.empty())
      connection.on_unreplicated_commit(why);
  } catch (...) {  // out of memory: only a log line is lost
  }
}

/// The notice comes before the end of the transaction that it is about. Its client may not be told that all
/// is well: a failover could undo it.
void Connection::on_unreplicated_commit(const std::string &why) {
  log_.error("a commit may not have reached the synchronous standby, and is not acknowledged: " + why);
  if (!failure_)
    failure_ = std::make_unique<Error>(Error{Code::unavailable, "PostgreSQL: " + why});
}

void Connection::lost(const std::string &why) {
  if (state_ == State::connecting)
    give_up_host(why);
  else
    wait_to_connect("lost connection to", why);
}

void Connection::wait_to_connect(const std::string &line, const std::string &why) {
  link_.close();
  state_ = State::waiting;
  prepared_.clear();
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
