#include "relay/check.h"

#include <cstdio>
#include <optional>
#include <string>

namespace await::relay {
namespace {

constexpr std::int64_t kPatienceMs = 5'000;
constexpr std::int64_t kAnswerMs = 12'000;  // a name may be looked up in vain first, with two attempts

void say(const std::string &what, const std::string &missing) {
  std::printf("%s: %s\n", what.c_str(), missing.empty() ? "ok" : missing.c_str());
}

/// Waits for the answer of one sink, of the source, or of one that jobs come from.
class Answer {
 public:
  template <class Ask>
  std::string wait(io::PollLoop &loop, Ask ask) {
    ask(reply_);
    if (!loop.run_until([this] { return outcome_.has_value(); }, kAnswerMs))
      return "no answer";
    return *outcome_ ? "" : outcome_->error().detail;
  }

 private:
  void on_answer(Result<Done> outcome) { outcome_ = std::move(outcome); }
  std::optional<Result<Done>> outcome_;
  core::Reply<Done> reply_ = core::Reply<Done>::to<&Answer::on_answer>(this);
};

/// Waits for a stream to begin.
class StreamCheck : private pg::Replication::Listener {
 public:
  std::string run(io::PollLoop &loop, io::Log &log, io::Random &random, const std::string &conninfo) {
    pg::Replication replication(loop, log, random, {conninfo, "await_relay", "await_relay_"}, *this);
    replication.start();
    bool answered = loop.run_until([&] { return streams_ || !replication.reason().empty(); }, kPatienceMs);
    return streams_   ? ""
           : answered ? replication.reason()
                      : "no answer; transactions that run for long hold it up";
  }

 private:
  void on_stream(const std::string &) override { streams_ = true; }
  std::string on_message(std::string_view) override { return ""; }
  void on_position(core::Lsn) override {}
  void on_pause() override {}
  void on_end() override {}
  bool streams_ = false;
};

}  // namespace

bool check(io::PollLoop &loop, Relay &relay) {
  loop.run_until([&] { return relay.readable() || !relay.trouble().empty(); }, kPatienceMs);
  bool good = relay.readable();
  std::string missing = good ? "" : relay.trouble().empty() ? "no answer" : relay.trouble();
  say("PostgreSQL", missing);
  for (const auto &feed : relay.feeds()) {
    Answer answer;
    auto ask = [&](core::Reply<Done> &reply) { feed->sink().check(reply); };
    std::string lacks = good ? answer.wait(loop, ask) : "not looked at, because PostgreSQL is missing";
    say("sink " + feed->name(), lacks);
    good = good && lacks.empty();
  }
  if (good) {
    Answer lead;
    std::string lacks = lead.wait(loop, [&](core::Reply<Done> &reply) { relay.check_lead(reply); });
    say("lead", lacks);
    good = lacks.empty();
  }
  for (const auto &intake : relay.intakes()) {
    Answer answer;
    std::string lacks = answer.wait(loop, [&](core::Reply<Done> &reply) { intake->check(reply); });
    say("source kafka " + intake->settings().topic, lacks);
    good = good && lacks.empty();
  }
  return good;
}

bool check_log(io::PollLoop &loop, io::Log &log, io::Random &random, Relay &relay,
               const std::string &conninfo) {
  Answer source;
  std::string missing = "not looked at, because PostgreSQL is missing";
  if (relay.readable())
    missing = source.wait(loop, [&](core::Reply<Done> &reply) { relay.check_source(reply); });
  if (missing.empty())
    missing = StreamCheck().run(loop, log, random, conninfo);
  say("source wal", missing);
  return missing.empty();
}

}  // namespace await::relay
