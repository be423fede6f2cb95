#include "pg/notify_bus.h"

#include <utility>

#include "core/hint.h"
#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

constexpr std::int64_t kSilenceMs = 5'000;

}  // namespace

NotifyBus::NotifyBus(io::Loop &loop, io::Log &log, io::Random &random, Connection &connection)
    : log_(log),
      random_(random),
      connection_(connection),
      silence_timer_(loop.timer([this] { on_silence(); }, io::Loop::Quit::may)) {}

void NotifyBus::listen(std::function<void(std::string_view)> on_work,
                       std::function<void(std::string_view)> on_ended) {
  on_work_ = std::move(on_work);
  on_ended_ = std::move(on_ended);
}

void NotifyBus::on_connection() {
  ready_ = false;
  proof_.clear();
  ask();
}

void NotifyBus::ask() {
  silence_timer_->clear();
  if (reply_.waiting())
    reply_.unlink();  // of the connection before
  auto ask = std::make_unique<Call<bool>>(statements::kNotifySetting, Params(), reply_, decode);
  ask->background = true;
  connection_.send(std::move(ask));
}

Result<bool> NotifyBus::decode(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "await.notify was not returned"};
  return rows.boolean(0, 0);
}

void NotifyBus::on_setting(Result<bool> is_on) {
  if (!is_on)
    silence_timer_->set(kSilenceMs);  // a statement that was cancelled, for example
  else if (!*is_on)
    told_.clear();  // it was switched off: nothing is missing
  else if (connection_.is_direct())
    prove();
  else
    tell("a pooler stands between");
}

void NotifyBus::prove() {
  auto listen = [this](const char *statement) {
    connection_.send(std::make_unique<Send>(statement, Params()));
  };
  if (listener_ != nullptr) {
    listen(statements::kListenHint);
    listen(statements::kListenRevoked);
  } else {
    listen(statements::kListenWork);
    listen(statements::kListenCancel);
  }
  proof_ = "proof " + Uuid::v7(0, 0, random_.ten()).text();  // no hint, and no name of a queue
  Params params;
  params.text(listener_ != nullptr ? "await_hint" : "await_work").text(proof_);
  connection_.send(std::make_unique<Send>(statements::kNotify, std::move(params)));
  silence_timer_->set(kSilenceMs);
}

/// Asks again, because the reason may pass: a right that was missing, a statement that was cancelled.
void NotifyBus::on_silence() {
  if (!proof_.empty())
    tell("no notification came back");
  if (connection_.ready())
    ask();
}

/// Once for each reason.
void NotifyBus::tell(const std::string &why) {
  if (std::exchange(told_, why) != why)
    log_.error("cannot LISTEN to PostgreSQL, although await.notify is on: " + why +
               "; changes are found by reading periodically");
}

void NotifyBus::on_proof() {
  proof_.clear();
  silence_timer_->clear();
  ready_ = true;
  if (!std::exchange(told_, {}).empty())
    log_.info("listening to PostgreSQL");
  if (on_work_)
    on_work_({});
  if (on_ended_)
    on_ended_({});
  for (unsigned shard = 0; listener_ != nullptr && shard < shards_.size(); ++shard) {
    if (shards_[shard])
      listener_->on_subscription(shard);
  }
}

void NotifyBus::on_notification(std::string_view channel, std::string_view message) {
  if (!proof_.empty() && message == proof_) {
    on_proof();
  } else if (channel == "await_hint" && listener_ != nullptr) {
    auto hint = core::read_hint(message);
    if (hint && shards_[hint->job.shard()])
      listener_->on_hint(*hint);
  } else if (channel == "await_revoked" && listener_ != nullptr) {
    listener_->on_revocation();
  } else if (channel == "await_work" && on_work_ && !message.empty()) {
    on_work_(message);
  } else if (channel == "await_cancel" && on_ended_ && !message.empty()) {
    on_ended_(message);
  }
}

}  // namespace await::pg
