#include "relay/unserved.h"

#include <utility>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::relay {

Unserved::Unserved(io::Loop &loop, io::Log &log, pg::Connection &connection, std::string relay)
    : connection_(connection),
      relay_(std::move(relay)),
      outage_(loop, log),
      timer_(loop.timer([this] { look(); }, io::Loop::Quit::may)) {}

void Unserved::stand_by(bool stands_by) {
  if (reply_.waiting())
    reply_.unlink();
  if (stands_by)
    timer_->set(kFirstMs);
  else
    timer_->clear();
}

void Unserved::check(core::Reply<Done> &reply) {
  pg::ArrayWriter names(pg::kText);
  for (const std::string &sink : sinks_)
    names.bytes(sink);
  pg::Params params;
  params.text(relay_).array(pg::kTextArray, std::move(names));
  auto call =
      std::make_unique<pg::Call<Done>>(pg::statements::kRelayUnserved, std::move(params), reply, decode);
  call->background = true;
  connection_.send(std::move(call));
}

Result<Done> Unserved::decode(const pg::Rows &rows, std::size_t) {
  if (rows.count() == 0)
    return Done{};
  std::string names;
  for (int row = 0; row < rows.count(); ++row)
    names += (row > 0 ? ", " : "") + rows.text(row, 1);
  return Error{Code::unavailable,
               rows.text(0, 0) + " leads without " + names +
                   ", which nobody serves: give all relays of this name the same sinks, or "
                   "this one another --name"};
}

void Unserved::look() {
  timer_->set(kEveryMs);
  if (!sinks_.empty() && !reply_.waiting() && connection_.ready())
    check(reply_);
}

void Unserved::on_answer(const Result<Done> &outcome) {
  if (outcome)
    unserved_.recover("all sinks of this relay are served");
  else if (outcome.error().code == Code::unavailable)
    unserved_.fail(outcome.error().detail);
}

}  // namespace await::relay
