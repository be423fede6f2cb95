#include "relay/housekeeping.h"

namespace await::relay {

Housekeeping::Housekeeping(io::Loop &loop, pg::Connection &connection)
    : connection_(connection),
      second_timer_(loop.timer([this] { on_second(); }, io::Loop::Quit::may)),
      purge_timer_(loop.timer([this] { on_purge(); }, io::Loop::Quit::may)) {}

void Housekeeping::lead(bool leads) {
  second_timer_->clear();
  purge_timer_->clear();
  if (leads) {
    second_timer_->set(1000);
    purge_timer_->set(5000);
  }
}

void Housekeeping::on_second() {
  second_timer_->set(1000);
  if (connection_.ready())
    maintenance_.run();
}

void Housekeeping::on_purge() {
  purge_timer_->set(kPurgeMs);
  if (connection_.ready())
    pg::Purge::run(connection_);
}

}  // namespace await::relay
