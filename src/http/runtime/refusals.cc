#include "http/runtime/refusals.h"

#include <algorithm>

namespace await::http {

Refusals::Refusals(io::Loop &loop, io::Log &log)
    : loop_(loop), log_(log), timer_(loop.timer([this] { on_window(); }, io::Loop::Quit::may)) {}

bool Refusals::count(Kind kind, const std::string &reason) {
  if (!timer_->pending()) {
    began_ms_ = loop_.monotonic_ms();
    timer_->set(kWindowMs);
  }
  auto at = std::find_if(reasons_.begin(), reasons_.end(), [&](auto &one) { return one.text == reason; });
  bool is_new = at == reasons_.end();
  if (is_new && reasons_.size() == kMostReasons) {  // the last one stands for all that do not fit
    at = reasons_.end() - 1;
    at->text.clear();
    is_new = false;
  } else if (is_new) {
    at = reasons_.insert(reasons_.end(), Reason{reason});
    at->logged = true;
  }
  ++at->counts[static_cast<std::size_t>(kind)];
  return is_new;
}

void Refusals::on_window() {
  for (const Reason &reason : reasons_) {
    log_count(reason, Kind::submission, "submission", "submissions");
    log_count(reason, Kind::other, "other request", "other requests");
  }
  // a reason that has come to an end is news when it comes back
  std::erase_if(reasons_, [](const Reason &one) { return one.counts[0] + one.counts[1] == 0; });
  for (Reason &reason : reasons_)
    reason = {std::move(reason.text)};
  began_ms_ = loop_.monotonic_ms();
  if (!reasons_.empty())
    timer_->set(kWindowMs);
}

void Refusals::log_count(const Reason &reason, Kind kind, const char *one, const char *many) {
  std::int64_t n = reason.counts[static_cast<std::size_t>(kind)];
  if (n == 0 || (reason.logged && reason.counts[0] + reason.counts[1] == 1))
    return;
  std::int64_t seconds = (loop_.monotonic_ms() - began_ms_ + 500) / 1000;
  log_.error(std::to_string(n) + " " + (n == 1 ? one : many) + " refused in " + std::to_string(seconds) +
             " s: " + (reason.text.empty() ? "for various reasons" : reason.text));
}

}  // namespace await::http
