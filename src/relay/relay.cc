#include "relay/relay.h"

#include <algorithm>
#include <utility>

#include "pg/call.h"
#include "pg/hello.h"
#include "pg/statements.h"

namespace await::relay {

/// Asks a server who it is: when it was connected to, or, `again`, because behind a pooler it may be another
/// one since.
class Relay::Greeting : public pg::Statement {
 public:
  Greeting(Relay &relay, pg::Connection &connection, bool again)
      : Statement(pg::statements::kRelayHello, pg::Params()),
        relay_(relay),
        connection_(connection),
        again_(again) {
    greets = !again;
    background = true;
  }
  void finish(Result<pg::Rows> rows) override {
    Result<Hello> hello = Error{Code::internal, "await.relay_hello returned nothing"};
    if (!rows)
      hello = rows.error();
    else if (rows->count() == 1)
      hello = Hello{rows->text(0, 0), static_cast<int>(rows->number(0, 1))};
    if (again_)
      relay_.on_recognized(hello);
    else
      relay_.on_hello(connection_, std::move(hello));
  }

 private:
  Relay &relay_;
  pg::Connection &connection_;
  bool again_;
};

namespace {

/// What to do about a greeting that the database has refused.
std::string remedy_of(const Error &error) {
  if (error.code == Code::forbidden)
    return ": GRANT await_relay TO the role";
  bool is_missing =
      error.detail.starts_with("PostgreSQL 3F000") || error.detail.starts_with("PostgreSQL 42883");
  return is_missing ? R"(: run "await-ctl migrate")" : "";
}

}  // namespace

Relay::Relay(io::Loop &loop, io::Log &log, io::Random &random, redis::Bus *bus, Settings settings)
    : loop_(loop),
      log_(log),
      random_(random),
      bus_(bus),
      settings_(std::move(settings)),
      schema_outage_(loop, log),
      lead_(loop, log, random, {settings_.conninfo, "relay lead", 5'000}, this),
      read_(loop, log, random, {settings_.conninfo, "relay read", 30'000}, this),
      bulk_(loop, log, random, {settings_.conninfo, "relay bulk", 60'000}, this),
      submit_(loop, log, random, {settings_.conninfo, "relay submit", 30'000}, this),
      deliveries_(loop, log, random, {settings_.conninfo, "relay webhooks", 30'000}, this),
      notifier_(loop),
      leases_(lead_),
      leader_(loop, log, leases_, settings_.relay, settings_.holder, *this),
      unserved_(loop, log, lead_, settings_.relay),
      cursors_(lead_, leader_),
      source_(loop, read_, bulk_, settings_.poll_ms),
      housekeeping_(loop, bulk_),
      open_timer_(loop.timer([this] { open(); }, io::Loop::Quit::may)),
      look_timer_(loop.timer([this] { look(); }, io::Loop::Quit::may)),
      phase_timer_(loop.timer([this] { next_phase(); }, io::Loop::Quit::may)) {
  if (!settings_.follows_log || settings_.once)  // what is there now is in the tables
    return;
  WalStream::Settings stream;
  stream.postgres = settings_.conninfo;
  stream.replication = settings_.log_conninfo;
  stream.most_held = settings_.most_log_held;
  log_source_ = std::make_unique<WalSource>(loop, log, random, std::move(stream), source_);
}

Relay::~Relay() = default;

Result<Done> Relay::make_sinks() {
  Feed::Owner &owner = *this;
  Source &source = log_source_ ? static_cast<Source &>(*log_source_) : source_;
  SinkContext context{loop_, log_, random_, read_, deliveries_, bus_, leader_};
  bool has_dispatcher = false;
  bool has_output = false;
  for (const SinkSpec &spec : settings_.sinks) {
    if (spec.kind == "stdout" && std::exchange(has_output, true))
      return Error{Code::invalid, "there are two sinks stdout, whose lines would mix"};
    if (spec.kind == "webhooks" && std::exchange(has_dispatcher, true))
      return Error{Code::invalid, "there are two sinks webhooks, which would send each delivery twice"};
    auto sink = make_sink(spec, context);
    if (!sink)
      return sink.error();
    sinks_.push_back(std::move(*sink));
    feeds_.push_back(std::make_unique<Feed>(loop_, log_, random_, cursors_, source, *sinks_.back(),
                                            spec.name(), settings_.filter, owner));
  }
  return Done{};
}

void Relay::check_source(core::Reply<Done> &reply) {
  using Call = pg::Call<Done>;
  read_.send(std::make_unique<Call>(
      pg::statements::kRelayWalMissing, pg::Params(), reply, [](const pg::Rows &rows, std::size_t) {
        std::string missing;
        for (int row = 0; row < rows.count(); ++row)
          missing += (row > 0 ? "; " : "") + rows.text(row, 0);
        return missing.empty() ? Result<Done>(Done{}) : Result<Done>(Error{Code::unavailable, missing});
      }));
}

Result<Done> Relay::make_intakes() {
  for (const SinkSpec &spec : settings_.from) {
    if (spec.kind != "kafka")
      return Error{Code::invalid, "there is no source \"" + spec.kind + "\"; there is: kafka"};
    auto settings = KafkaSource::parse(spec.value, spec.options);
    if (!settings)
      return settings.error();
    bool taken = std::any_of(intakes_.begin(), intakes_.end(),
                             [&](const auto &other) { return other->settings().name == settings->name; });
    if (taken)
      return Error{Code::invalid, "two sources have the name \"" + settings->name + "\": name=NAME"};
    intakes_.push_back(
        std::make_unique<KafkaSource>(loop_, log_, random_, submit_, cursors_, bus_, std::move(*settings)));
  }
  return Done{};
}

void Relay::lead_intakes(bool leads) {
  for (auto &intake : intakes_)
    intake->lead(leads);
}

bool Relay::has_webhooks() const {
  return std::any_of(settings_.sinks.begin(), settings_.sinks.end(),
                     [](const SinkSpec &spec) { return spec.kind == "webhooks"; });
}

void Relay::start() {
  if (settings_.once)
    phase_timer_->set(kOnceMs);
  std::vector<std::string> names;
  for (const auto &feed : feeds_)
    names.push_back(feed->name());
  for (const auto &intake : intakes_)
    names.push_back(IntakeProgress::cursor_name(intake->settings().name));
  if (names.empty())
    log_.info("there is no --sink and no --from: this relay does maintenance only");
  unserved_.set_sinks(std::move(names));
  unserved_.stand_by(true);
  lead_.start();
}

void Relay::connected(pg::Connection &connection) {
  connection.send(std::make_unique<Greeting>(*this, connection, false));
}

void Relay::on_notification(pg::Connection &, std::string_view, std::string_view) {
  source_.on_notification();
}

void Relay::on_hello(pg::Connection &connection, Result<Hello> hello) {
  if (!hello) {
    // a right or a schema that is missing is not a matter of the server: it stays, and is asked again
    if (connection.established())
      connection.reject(hello.error().detail + remedy_of(hello.error()));
    return;
  }
  if (pg::schema_is_older(hello->schema_version)) {
    schema_.fail("the schema \"await\" has version " + std::to_string(hello->schema_version) +
                 ", the relay needs " + std::to_string(pg::statements::kSchemaVersion) +
                 R"(: run "await-ctl migrate")");
    connection.reject("the schema is older than the relay");
    return;
  }
  schema_.recover("the schema \"await\" is up to date");
  greet(connection, *hello);
}

void Relay::on_recognized(const Result<Hello> &hello) {
  recognizes_ = false;
  if (hello && hello->timeline != timeline_ && lead_.ready())
    lead_.reject("PostgreSQL has failed over behind a pooler");
}

void Relay::greet(pg::Connection &connection, const Hello &hello) {
  if (&connection == &lead_) {
    bool first = timeline_.empty();
    bool moved = std::exchange(timeline_, hello.timeline) != hello.timeline;
    for (pg::Connection *other : {&read_, &bulk_, &submit_, &deliveries_}) {
      if ((other == &submit_ && intakes_.empty()) || (other == &deliveries_ && !has_webhooks()))
        continue;
      if (first)
        other->start();
      else if (moved && other->ready())
        other->reject("PostgreSQL has failed over");
      else if (!other->established())
        other->nudge();
    }
    connection.accept();
    if (!settings_.only_check) {
      leader_.on_connection();
      notifier_.ready();
    }
  } else if (hello.timeline == timeline_) {
    connection.accept();
    if (&connection == &read_)
      source_.on_connection();
  } else {
    connection.reject("not the server that the relay leads on");
    if (lead_.ready() && !std::exchange(recognizes_, true))
      lead_.send(std::make_unique<Greeting>(*this, lead_, true));
  }
}

void Relay::on_lead() {
  if (phase_ != Phase::running)
    return;
  unserved_.stand_by(false);
  housekeeping_.lead(true);
  lead_intakes(true);
  open();
}

void Relay::open() {
  if (!leader_.leads() || open_reply_.waiting() || phase_ != Phase::running)
    return;
  std::vector<std::string> names;
  for (auto &feed : feeds_)
    names.push_back(feed->name());
  cursors_.open(names, open_reply_);
}

void Relay::on_opened(Result<std::vector<StoredCursor>> cursors) {
  if (!leader_.leads())
    return;
  if (!cursors) {
    open_timer_->set(500);
    return;
  }
  if (cursors->empty() && !feeds_.empty()) {
    leader_.on_refused();
    return;
  }
  phase_timer_->clear();
  opened_ = true;
  for (const StoredCursor &stored : *cursors) {
    for (auto &feed : feeds_) {
      if (feed->name() == stored.sink) {
        feed->sink().lead(true);
        feed->start(stored);
      }
    }
  }
}

std::optional<std::int64_t> Relay::live_rate(const Feed &feed) {
  std::optional<std::int64_t> most;
  if (settings_.once)
    return most;
  for (const auto &other : feeds_) {
    if (other.get() != &feed && other->live())
      most = std::max(most.value_or(0), other->rate());
  }
  return most;
}

void Relay::on_lost_lead() {
  unserved_.stand_by(true);
  housekeeping_.lead(false);
  lead_intakes(false);
  if (open_reply_.waiting())
    open_reply_.unlink();
  open_timer_->clear();
  for (auto &feed : feeds_) {
    feed->stop();
    feed->sink().lead(false);
  }
  if (settings_.once && phase_ == Phase::running)
    phase_timer_->set(kOnceMs);
  look_timer_->set(0);
}

bool Relay::all_idle() const {
  return std::all_of(feeds_.begin(), feeds_.end(),
                     [](const auto &feed) { return feed->idle() && feed->sink().idle(); }) &&
         std::all_of(intakes_.begin(), intakes_.end(), [](const auto &intake) { return intake->idle(); });
}

/// What has come to an end?
void Relay::look() {
  if (phase_ == Phase::running) {
    bool over = std::any_of(sinks_.begin(), sinks_.end(), [](const auto &sink) { return sink->finished(); });
    if (over)
      log_.info("standard output was closed: the relay ends");
    if (settings_.once && !over) {
      failed_ = std::any_of(feeds_.begin(), feeds_.end(),
                            [](const auto &feed) { return !feed->trouble().empty(); });
      over = std::all_of(feeds_.begin(), feeds_.end(),
                         [](const auto &feed) { return feed->caught_up() || !feed->trouble().empty(); });
      bool settled =
          std::all_of(sinks_.begin(), sinks_.end(), [](const auto &sink) { return sink->settled(); });
      if (over && !settled) {
        over = false;
        look_timer_->set(10);
      }
    }
    if (over)
      drain();
  } else if (phase_ == Phase::draining && all_idle()) {
    next_phase();
  } else if (phase_ == Phase::releasing && (!lead_.ready() || lead_.in_flight() == 0)) {
    phase_ = Phase::done;
  }
  if (phase_ == Phase::draining || phase_ == Phase::releasing)
    look_timer_->set(10);
}

void Relay::drain() {
  if (phase_ != Phase::running)
    return;
  notifier_.stopping();
  housekeeping_.lead(false);
  lead_intakes(false);
  phase_ = Phase::draining;
  for (auto &feed : feeds_) {
    feed->drain();
    feed->sink().drain();
  }
  phase_timer_->set(kDrainMs);
  look_timer_->set(0);
}

void Relay::next_phase() {
  if (phase_ == Phase::running) {
    std::string other = leader_.holder().empty() ? "PostgreSQL does not answer" : leader_.holder() + " leads";
    log_.error((opened_ ? "not everything was delivered: " : "nothing was delivered: ") +
               (trouble().empty() ? other : trouble()));
    failed_ = true;
    drain();
  } else if (phase_ == Phase::draining) {
    phase_ = Phase::releasing;
    leader_.release();
    phase_timer_->set(kReleaseMs);
    look_timer_->set(0);
  } else if (phase_ == Phase::releasing) {
    phase_ = Phase::done;
  }
}

}  // namespace await::relay
