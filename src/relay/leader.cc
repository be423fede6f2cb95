#include "relay/leader.h"

#include <algorithm>
#include <utility>

namespace await::relay {

Leader::Leader(io::Loop &loop, io::Log &log, Leases &leases, std::string relay, std::string holder,
               Listener &listener)
    : loop_(loop),
      log_(log),
      leases_(leases),
      relay_(std::move(relay)),
      self_(std::move(holder)),
      listener_(listener),
      ask_timer_(loop.timer([this] { ask(); }, io::Loop::Quit::may)),
      end_timer_(
          loop.timer([this] { lose("the lease could not be renewed in time"); }, io::Loop::Quit::may)) {}

void Leader::on_connection() {
  if (leads_)
    lose("the connection to PostgreSQL was lost");
  if (reply_.waiting())
    reply_.unlink();
  ask_timer_->set(0);
}

void Leader::ask() {
  if (reply_.waiting() || released_)
    return;
  asked_ms_ = loop_.monotonic_ms();
  leases_.ask(relay_, self_, token_, kSpanMs, reply_);
}

void Leader::on_lease(Result<Lease> lease) {
  if (released_) {  // meanwhile
    if (lease)
      token_ = lease->token;
    give_back();
    return;
  }
  // the answer may come before the timer has said so; what was not done since, the listener does when it
  // leads
  if (leads_ && !leads())
    lose("the lease could not be renewed in time");
  if (!lease) {
    ask_timer_->set(kRenewMs);
    return;
  }
  if (!lease->token) {
    if (leads_)
      lose("another relay has taken over");
    token_.reset();
    if (!lease->holder.empty() && lease->holder != other_) {
      log_.info("standing by: " + lease->holder + " leads the relays \"" + relay_ + "\"");
      other_ = lease->holder;
    }
    ask_timer_->set(std::clamp<std::int64_t>(lease->left_ms + 10, 10, kRenewMs));
    return;
  }
  token_ = lease->token;
  // counted from before the statement was sent, so it ends sooner than in the database
  ends_ms_ = asked_ms_ + kSpanMs - kMarginMs;
  std::int64_t left = ends_ms_ - loop_.monotonic_ms();
  if (left <= 0) {
    ask_timer_->set(0);
    return;
  }
  end_timer_->set(left);
  ask_timer_->set(kRenewMs);
  if (!std::exchange(leads_, true)) {
    log_.info("leading the relays \"" + relay_ + "\"");
    other_.clear();
    listener_.on_lead();
  }
}

void Leader::lose(const std::string &why) {
  end_timer_->clear();
  if (!std::exchange(leads_, false))
    return;
  log_.info("not leading any more: " + why);
  ask_timer_->set(kRenewMs);
  listener_.on_lost_lead();
}

void Leader::release() {
  released_ = true;
  ask_timer_->clear();
  end_timer_->clear();
  leads_ = false;
  if (!reply_.waiting())  // otherwise the answer may bring the lease
    give_back();
}

void Leader::give_back() {
  if (token_)
    leases_.release(relay_, *token_);
}

}  // namespace await::relay
