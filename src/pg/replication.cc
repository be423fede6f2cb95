#include "pg/replication.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "pg/failure.h"
#include "pg/session.h"

namespace await::pg {
namespace {

constexpr int kMostMessages = 2000;  // handed over at a time
constexpr std::int64_t kUnreadMs = 10'000;

/// Two columns: the timeline, and what is missing. In text format, as of all simple queries.
constexpr char kGreeting[] =
    "SELECT h.timeline, array_to_string(ARRAY(SELECT await.relay_wal_missing()), '; ') "
    "FROM await.relay_hello() h";

/// The server itself ends what waits for too long, so that nothing stays behind there: the creation of a slot
/// waits for locks of transactions.
std::string startup_options(std::int64_t slot_ms, std::int64_t answer_ms) {
  return "-c lock_timeout=" + std::to_string(slot_ms) + " -c statement_timeout=" + std::to_string(answer_ms) +
         " -c wal_sender_timeout=30s";
}

/// What to do about an error, by its SQLSTATE.
const char *remedy(std::string_view state) {
  struct {
    std::string_view state;
    const char *remedy;
  } constexpr kRemedies[] = {
      {"53400", " (raise max_replication_slots)"},
      {"53300", " (raise max_wal_senders, or max_connections)"},
      {"42704", " (await-ctl relay wal on)"},
      {"55P03", " (a new slot waits for transactions that were running: one of them takes long)"},
  };
  auto *found = std::find_if(std::begin(kRemedies), std::end(kRemedies),
                             [&](const auto &row) { return row.state == state; });
  return found != std::end(kRemedies) ? found->remedy : "";
}

}  // namespace

Replication::Replication(io::Loop &loop, io::Log &log, io::Random &random, Options options,
                         Listener &listener)
    : loop_(loop),
      log_(log),
      random_(random),
      options_(std::move(options)),
      listener_(listener),
      outage_(loop, log),
      link_(loop, [this] { on_socket(); }),
      timer_(loop.timer([this] { on_timer(); }, io::Loop::Quit::may)) {}

Replication::~Replication() = default;

void Replication::start() {
  if (state_ == State::idle)
    connect();
}

void Replication::stop() {
  timer_->clear();
  read_task_.unlink();
  link_.close();
  slot_.clear();
  state_ = State::idle;
}

void Replication::restart(const std::string &why) {
  if (state_ != State::idle && state_ != State::waiting)
    lost(why);
}

void Replication::pause(const std::string &why, std::int64_t ms) {
  restart(why);
  if (state_ == State::waiting)
    timer_->set(ms);
}

/// Begins a round of attempts, one for each host.
void Replication::connect() {
  state_ = State::connecting;
  reasons_.clear();
  auto hosts = read_hosts(options_.conninfo);
  if (!hosts) {
    lost(hosts.error().detail);
    return;
  }
  hosts_ = std::move(*hosts);
  host_ = 0;
  connect_to_host();
}

void Replication::connect_to_host() {
  Link::Session session;
  session.name = "nginx-await-wal";
  session.settings = startup_options(options_.slot_ms, options_.answer_ms);
  session.unread_ms = kUnreadMs;
  session.replicates = true;
  if (!link_.begin(
          hosts_, hosts_.list[host_], session, [](void *, const PGresult *) {}, nullptr)) {
    give_up_host(link_.failure());
    return;
  }
  timer_->set(hosts_.connect_timeout_ms > 0 ? hosts_.connect_timeout_ms : options_.connect_ms);
}

/// Tries the next host; after the last one, waits.
void Replication::give_up_host(const std::string &why) {
  link_.close();
  reasons_.add(why);
  if (++host_ < hosts_.list.size())
    connect_to_host();
  else
    lost(reasons_.text());
}

void Replication::poll_connect() {
  Link::Step step = link_.step();
  if (step == Link::Step::waits)
    return;
  if (step == Link::Step::failed) {
    give_up_host(link_.failure());
    return;
  }
  if (session::is_read_only(link_.get()))
    give_up_host(hosts_.list[host_].text() + " is read-only (a standby)");
  else if (PQsetnonblocking(link_.get(), 1) != 0)
    give_up_host(link_.failure());
  else
    ask(State::greeting, kGreeting, options_.answer_ms);
}

void Replication::on_socket() {
  if (state_ == State::connecting) {
    poll_connect();
    return;
  }
  if (PQconsumeInput(link_.get()) != 1) {
    lost(link_.failure());
    return;
  }
  heard_ms_ = loop_.monotonic_ms();
  if (!flush())
    return;
  if (state_ == State::streaming)
    read_stream();
  else
    take_results();
}

void Replication::ask(State state, const std::string &command, std::int64_t patience_ms) {
  state_ = state;
  timer_->set(patience_ms);
  if (PQsendQuery(link_.get(), command.c_str()) != 1)
    lost(link_.failure());
  else
    flush();
}

bool Replication::flush() {
  int left = PQflush(link_.get());
  if (left >= 0 && link_.watch(true, left == 1))
    return true;
  lost(link_.failure());
  return false;
}

void Replication::take_results() {
  State before = state_;
  while (state_ == before && PQisBusy(link_.get()) == 0) {
    std::unique_ptr<PGresult, decltype(&PQclear)> result(PQgetResult(link_.get()), PQclear);
    if (!result) {
      on_answer();
      return;
    }
    take_result(result.get());
  }
}

/// Each command has one row as its result, except for the last one, which begins the stream.
void Replication::take_result(const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COPY_BOTH && state_ == State::starting) {
    on_streaming();
  } else if (status != PGRES_TUPLES_OK || PQntuples(result) != 1 || state_ == State::starting) {
    lost(failure_text(result));
  } else if (state_ == State::greeting) {
    timeline_ = PQgetvalue(result, 0, 0);
    std::string missing = PQgetvalue(result, 0, 1);
    if (!missing.empty())
      lost(missing);
  }
}

/// The end of an answer: the next command.
void Replication::on_answer() {
  if (state_ == State::greeting) {
    slot_ = options_.slot;
    for (std::uint8_t byte : random_.ten())
      slot_ += static_cast<char>('a' + byte % 26);
    ask(State::creating,
        "CREATE_REPLICATION_SLOT " + slot_ + " TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')",
        options_.slot_ms + options_.answer_ms);
  } else {
    ask(State::starting,
        "START_REPLICATION SLOT " + slot_ + " LOGICAL 0/0 (proto_version '1', publication_names '" +
            options_.publication + "')",
        options_.answer_ms);
  }
}

void Replication::on_streaming() {
  state_ = State::streaming;
  position_ = 0;
  heard_ms_ = loop_.monotonic_ms();
  timer_->set(options_.status_ms);
  if (trouble_.failing())
    trouble_.recover("the write-ahead log is followed again");
  else
    log_.info("the write-ahead log is followed, by the replication slot " + slot_);
  listener_.on_stream(timeline_);
  if (state_ == State::streaming)
    read_stream();
}

void Replication::read_stream() {
  for (int n = 0; state_ == State::streaming; ++n) {
    if (n == kMostMessages) {
      if (!read_task_.linked())
        loop_.post(read_task_);
      break;
    }
    char *raw = nullptr;
    int size = PQgetCopyData(link_.get(), &raw, 1);
    std::unique_ptr<char, decltype(&PQfreemem)> buffer(raw, PQfreemem);
    if (size == 0)
      break;
    if (size == -1) {
      std::unique_ptr<PGresult, decltype(&PQclear)> end(PQgetResult(link_.get()), PQclear);
      lost(end ? failure_text(end.get()) : "the server has ended the stream");
      return;
    }
    if (size < 0) {
      lost(link_.failure());
      return;
    }
    if (!take_message(std::string_view(raw, static_cast<std::size_t>(size))))
      return;
  }
  if (state_ == State::streaming)
    listener_.on_pause();
}

bool Replication::take_message(std::string_view message) {
  auto decoded = core::decode_stream_message(message);
  if (!decoded) {
    lost("a malformed message in the stream");
    return false;
  }
  if (!decoded->payload.empty()) {
    std::string why = listener_.on_message(decoded->payload);
    if (!why.empty())
      lost(why);
    return state_ == State::streaming;
  }
  bool moved = decoded->position > position_;
  confirm(decoded->position);
  listener_.on_position(decoded->position);
  if (state_ == State::streaming && (decoded->wants_reply || moved))
    send_status(false);
  return state_ == State::streaming;
}

void Replication::send_status(bool wants_reply) {
  std::string status = core::encode_stream_status(position_, loop_.unix_ms() * 1000, wants_reply);
  int sent = PQputCopyData(link_.get(), status.data(), static_cast<int>(status.size()));
  if (sent < 0)
    lost(link_.failure());
  else
    flush();  // 0: what was sent before is still on its way
}

void Replication::on_timer() {
  switch (state_) {
    case State::waiting:
      connect();
      return;
    case State::connecting:
      give_up_host("connection to " + hosts_.list[host_].text() + " failed: no answer");
      return;
    case State::streaming:
      if (loop_.monotonic_ms() - heard_ms_ > options_.answer_ms) {
        lost("timeout waiting for a response");
        return;
      }
      backoff_.reset();
      timer_->set(options_.status_ms);
      send_status(true);
      return;
    default:
      lost("timeout waiting for a response");
  }
}

void Replication::lost(const std::string &why) {
  bool streamed = state_ == State::streaming;
  stop();
  state_ = State::waiting;
  trouble_.fail("cannot follow the write-ahead log, events are read from the tables meanwhile: " + why);
  timer_->set(backoff_.next(random_.unit()));
  if (streamed)
    listener_.on_end();
}

std::string Replication::failure_text(const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK)  // as it does when it is shut down
    return "the server has ended the stream";
  if (status != PGRES_FATAL_ERROR)
    return std::string("an answer that nobody has asked for: ") + PQresStatus(status);
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return failure_of(result).error.detail + remedy(state != nullptr ? state : "");
}

}  // namespace await::pg
