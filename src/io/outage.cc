#include "io/outage.h"

#include <algorithm>
#include <utility>

namespace await::io {

void Outage::Part::fail(const std::string &line) {
  reason_ = line;
  if (!std::exchange(failing_, true) && outage_.failing_++ == 0) {
    outage_.began_ms_ = outage_.loop_.monotonic_ms();
    outage_.reasons_.clear();
  }
  outage_.begin_or_continue(line);
}

void Outage::Part::recover(std::string_view line) {
  reason_.clear();
  if (std::exchange(failing_, false) && --outage_.failing_ == 0)
    outage_.end(line);
}

void Outage::begin_or_continue(const std::string &line) {
  std::int64_t now = loop_.monotonic_ms();
  std::erase_if(reasons_, [now](const Logged &one) { return now - one.at_ms >= kRepeatMs; });
  bool known = std::any_of(reasons_.begin(), reasons_.end(), [&](auto &one) { return one.line == line; });
  if (known || !may_log())
    return;
  if (reasons_.size() == kMostReasons)
    reasons_.erase(reasons_.begin());
  reasons_.push_back({line, now});
  logged_ = true;
  log_.error(line);
}

void Outage::end(std::string_view line) {
  if (!std::exchange(logged_, false))
    return;
  std::int64_t ms = loop_.monotonic_ms() - began_ms_;
  // at the level of the failure, so that who sees the one sees the other
  log_.error(std::string(line) + " after " +
             (ms < 1000 ? std::to_string(ms) + " ms" : std::to_string(ms / 1000) + " s"));
}

bool Outage::may_log() {
  std::int64_t now = loop_.monotonic_ms();
  std::int64_t more = (now - lines_at_ms_) / kLineMs;
  if (more > 0) {
    lines_ = static_cast<int>(std::min<std::int64_t>(kMostLines, lines_ + more));
    lines_at_ms_ = now;
  }
  if (lines_ == 0)
    return false;
  --lines_;
  return true;
}

}  // namespace await::io
