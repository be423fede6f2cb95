#include "relay/wal_stream.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "pg/call.h"
#include "pg/statements.h"
#include "relay/table_source.h"

namespace await::relay {
namespace {

// the columns of statements::kRelayLookup behind those of kRelayPage
constexpr int kLookedFor = 21;
constexpr int kUpto = 22;

template <class T>
std::unique_ptr<pg::Call<T>> call(const char *sql, pg::Params params, core::Reply<T> &reply,
                                  typename pg::Call<T>::Decode decode) {
  auto out = std::make_unique<pg::Call<T>>(sql, std::move(params), reply, decode);
  out->background = true;
  return out;
}

}  // namespace

WalStream::WalStream(io::Loop &loop, io::Log &log, io::Random &random, Settings settings, Listener &listener)
    : loop_(loop),
      listener_(listener),
      settings_(std::move(settings)),
      connection_(loop, log, random, {settings_.postgres, "wal"}, this),
      replication_(loop, log, random, {settings_.replication, "await_relay", "await_relay_"}, *this),
      recent_(settings_.limits),
      look_timer_(loop.timer([this] { look_up(); }, io::Loop::Quit::may)),
      watch_timer_(loop.timer([this] { watch_slot(); }, io::Loop::Quit::may)) {}

void WalStream::start() {
  running_ = true;
  connection_.start();
  replication_.start();
  watch_timer_->set(kWatchMs);
}

void WalStream::stop() {
  running_ = false;
  replication_.stop();
  recent_.reset();
  look_timer_->clear();
  watch_timer_->clear();
}

void WalStream::forget() {
  recent_.reset();
  look_timer_->clear();
  listener_.on_recent_events();
}

void WalStream::on_stream(const std::string &timeline) {
  stream_timeline_ = timeline;
  output_ = core::PgOutput();
  recent_.reset();
}

std::string WalStream::on_message(std::string_view message) {
  auto decoded = output_.decode(message);
  if (!decoded)
    return decoded.error().detail;
  if (decoded->what == core::PgOutput::Message::What::event) {
    recent_.on_event(decoded->event);
  } else if (decoded->what == core::PgOutput::Message::What::commit) {
    recent_.on_position(decoded->end);
    replication_.confirm(decoded->end);
  }
  return "";
}

/// A snapshot can be ahead of what the log has sent, as when the last commits were not flushed.
void WalStream::on_pause() {
  step();
  if (running_ && recent_.settle_mark())
    listener_.on_recent_events();
}

/// Sends what is due. There is one statement at a time; meanwhile what arrives is collected for the next one.
void WalStream::step() {
  if (!running_ || !replication_.streaming() || timeline_.empty())
    return;
  if (timeline_ != stream_timeline_) {
    replication_.restart("the server of the log is not the one that is written to");
    return;
  }
  if (recent_.wants_start() && !start_reply_.waiting()) {
    start_generation_ = recent_.generation();
    connection_.send(call(pg::statements::kTransaction, pg::Params(), start_reply_, decode_text));
  }
  if (lookup_reply_.waiting())
    return;
  if (recent_.has_due()) {
    look_up();
  } else if (recent_.wants_snapshot() && !look_timer_->pending()) {
    look_timer_->set(recent_.has_unseen() ? unseen_ms_ : recent_.has_unmarked() ? kMarkMs : kIdleMarkMs);
    unseen_ms_ = std::min(unseen_ms_ * 2, kMostUnseenMs);
  }
}

void WalStream::look_up() {
  if (lookup_reply_.waiting())
    return;
  look_timer_->clear();
  asked_ = recent_.take_due(kMostDue);
  asked_generation_ = recent_.generation();
  pg::ArrayWriter classes(pg::kInt2), jobs(pg::kUuid), seqs(pg::kInt4);
  for (const auto &due : asked_) {
    classes.int2(due.event.retention);
    jobs.uuid(due.event.job);
    seqs.int4(due.event.seq);
  }
  pg::Params params;
  params.array(pg::kInt2Array, std::move(classes)).array(pg::kUuidArray, std::move(jobs));
  params.array(pg::kInt4Array, std::move(seqs)).int4(kValueMax).int4(listener_.most_hints());
  auto lookup = call(pg::statements::kRelayLookup, std::move(params), lookup_reply_, decode_lookup);
  lookup->prepared = true;
  connection_.send(std::move(lookup));
}

Result<WalStream::Lookup> WalStream::decode_lookup(const pg::Rows &rows, std::size_t) {
  auto page = decode_relay_page(rows, 0);
  if (!page)
    return page.error();
  Lookup out;
  std::string_view snapshot = page->cursor;
  cut(snapshot, '|');
  auto view = core::SnapshotView::parse(snapshot);
  auto upto = core::parse_lsn(rows.bytes(0, kUpto));
  if (!view || !upto)
    return Error{Code::internal, "await.relay_lookup returned no snapshot"};
  out.reading = {std::move(page->cursor), std::move(*view), *upto, {}, std::move(page->events)};
  out.looked_for = static_cast<std::size_t>(rows.number(rows.count() - 1, kLookedFor));
  return out;
}

/// If there is no answer, the sinks read the tables, and the events that came meanwhile are theirs.
void WalStream::on_lookup(Result<Lookup> lookup) {
  if (!running_ || asked_generation_ != recent_.generation()) {
    step();
    return;
  }
  if (!lookup) {
    forget();
    return;
  }
  asked_.resize(std::min(asked_.size(), lookup->looked_for));
  lookup->reading.looked_for = std::move(asked_);
  if (!lookup->reading.events.empty())
    unseen_ms_ = 1;
  bool news = recent_.on_reading(std::move(lookup->reading));
  step();
  if (news)
    listener_.on_recent_events();
}

void WalStream::on_transaction(Result<std::string> xid) {
  auto number = xid ? parse_number(*xid) : std::nullopt;
  if (number && start_generation_ == recent_.generation()) {
    recent_.start(static_cast<std::uint64_t>(*number));
    listener_.on_recent_events();
  } else if (number) {
    step();
  }
}

void WalStream::connected(pg::Connection &connection) {
  timeline_.clear();
  if (hello_reply_.waiting())
    hello_reply_.unlink();
  auto hello = call(pg::statements::kRelayHello, pg::Params(), hello_reply_, decode_text);
  hello->greets = true;
  connection.send(std::move(hello));
}

void WalStream::on_hello(Result<std::string> timeline) {
  if (!timeline) {
    connection_.reject(timeline.error().detail);
    return;
  }
  timeline_ = std::move(*timeline);
  connection_.accept();
  step();
}

/// The server keeps the log from the beginning of the oldest transaction that is open, whatever was
/// confirmed.
void WalStream::watch_slot() {
  watch_timer_->set(kWatchMs);
  if (replication_.slot().empty() || timeline_.empty() || held_reply_.waiting())
    return;
  pg::Params params;
  params.text(replication_.slot());
  connection_.send(call(pg::statements::kSlotHeld, std::move(params), held_reply_, decode_number));
}

void WalStream::on_held(Result<std::int64_t> bytes) {
  if (!running_ || !bytes || *bytes <= settings_.most_held)
    return;
  replication_.pause(
      "the replication slot has kept " + std::to_string(*bytes >> 20) +
          " MB of the log, more than --wal-limit, as it does while a transaction is open for long; it "
          "was dropped, and there will be another one in a minute",
      kPauseMs);
}

Result<std::string> WalStream::decode_text(const pg::Rows &rows, std::size_t) {
  return rows.count() > 0 ? rows.text(0, 0) : std::string();
}

Result<std::int64_t> WalStream::decode_number(const pg::Rows &rows, std::size_t) {
  return rows.count() > 0 ? rows.number(0, 0) : 0;
}

}  // namespace await::relay
