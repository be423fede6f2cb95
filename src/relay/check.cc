#include "relay/check.h"

#include <cstdio>
#include <optional>
#include <string>

namespace await::relay {
namespace {

constexpr std::int64_t kPatienceMs = 5'000;

void say(const std::string &what, const std::string &missing) {
  std::printf("%s: %s\n", what.c_str(), missing.empty() ? "ok" : missing.c_str());
}

/// Waits for the answer of one sink.
class SinkCheck {
 public:
  std::string run(io::PollLoop &loop, Sink &sink) {
    sink.check(reply_);
    if (!loop.run_until([this] { return outcome_.has_value(); }, kPatienceMs))
      return "no answer";
    return *outcome_ ? "" : outcome_->error().detail;
  }

 private:
  void on_answer(Result<Done> outcome) { outcome_ = std::move(outcome); }
  std::optional<Result<Done>> outcome_;
  core::Reply<Done> reply_ = core::Reply<Done>::to<&SinkCheck::on_answer>(this);
};

}  // namespace

bool check(io::PollLoop &loop, Relay &relay) {
  bool good = loop.run_until([&] { return relay.readable(); }, kPatienceMs);
  std::string missing = good ? "" : relay.trouble().empty() ? "no answer" : relay.trouble();
  say("PostgreSQL", missing);
  for (const auto &feed : relay.feeds()) {
    SinkCheck sink;
    std::string lacks = good ? sink.run(loop, feed->sink()) : "not looked at, because PostgreSQL is missing";
    say("sink " + feed->name(), lacks);
    good = good && lacks.empty();
  }
  return good;
}

}  // namespace await::relay
