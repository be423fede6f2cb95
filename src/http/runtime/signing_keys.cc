#include "http/runtime/signing_keys.h"

#include <algorithm>

#include "wire/cursor_key.h"

namespace await::http {
namespace {

constexpr std::int64_t kPauseMs = 1000;      // between two queries
constexpr std::int64_t kShortPauseMs = 100;  // the same if a request waits

}  // namespace

SigningKeys::SigningKeys(ngx::Loop &loop, Backends &backends, std::int64_t reread_ms)
    : loop_(loop),
      backends_(backends),
      reread_ms_(reread_ms),
      timer_(loop.timer([this] { ask(); }, io::Loop::Quit::may)),
      client_timer_(loop.timer([this] { ask(); }, io::Loop::Quit::must_not)) {}

void SigningKeys::on_greeting(const pg::Hello &hello) {
  std::int64_t now = loop_.monotonic_ms();
  if (!keys_.empty() && !hello.keys.empty() && keys_.front() != hello.keys.front()) {
    previous_key_ = keys_.front();
    previous_until_ms_ = now + 3 * reread_ms_;  // by then every node has queried the keys
  }
  keys_ = hello.keys;
  timeline_ = hello.timeline;
  verifier_.learn(keys_);
  std::vector<std::string> signers = keys_;
  auto previous = std::find(signers.begin(), signers.end(), previous_key_);
  if (now < previous_until_ms_ && previous != signers.end())
    std::rotate(signers.begin(), previous, previous + 1);
  cursor_keys_.clear();
  for (const std::string &key : signers)
    cursor_keys_.push_back(wire::cursor_key(key));
}

void SigningKeys::refresh() { ask_at(asked_ms_ + kPauseMs); }

void SigningKeys::refresh(GreetingWaiter &waiter) {
  waiting_.push_back(waiter);
  ask_at(asked_ms_ + kShortPauseMs);
}

void SigningKeys::ask_at(std::int64_t due_ms) {
  io::Timer &timer = waiting_.empty() ? *timer_ : *client_timer_;
  if (timer.pending() && due_ms_ <= due_ms)
    return;
  due_ms_ = due_ms;
  timer.set(std::max<std::int64_t>(0, due_ms - loop_.monotonic_ms()));
}

void SigningKeys::ask() {
  if (reply_.waiting()) {  // the last question is not answered yet
    ask_at(loop_.monotonic_ms() + kShortPauseMs);
    return;
  }
  timer_->clear();  // one question is enough for both
  client_timer_->clear();
  asked_ms_ = loop_.monotonic_ms();
  asking_.take_all(waiting_);
  backends_.request_greeting(reply_, asking_.empty());
}

void SigningKeys::on_answer(const Result<pg::Hello> &hello) {
  is_fresh_ = static_cast<bool>(hello);
  backends_.on_answer(hello);  // and from there to on_greeting()
  call_all(asking_);
}

}  // namespace await::http
