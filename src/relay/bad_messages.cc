#include "relay/bad_messages.h"

#include <utility>

namespace await::relay {

BadMessages::BadMessages(io::Loop &loop, io::Log &log, std::string name)
    : log_(log), name_(std::move(name)), timer_(loop.timer([this] { end_minute(); }, io::Loop::Quit::may)) {}

void BadMessages::add(const std::string &line) {
  if (!timer_->pending())
    timer_->set(kMinuteMs);
  if (++count_ <= kMostLines)
    log_.error(name_ + ": " + line);
}

void BadMessages::end_minute() {
  timer_->clear();
  if (std::int64_t more = std::exchange(count_, 0) - kMostLines; more > 0)
    log_.error(name_ + ": " + std::to_string(more) +
               " more messages were no valid jobs in the minute before");
}

}  // namespace await::relay
