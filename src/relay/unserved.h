#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/ports.h"
#include "io/outage.h"
#include "pg/connection.h"

namespace await::relay {

/// Looks, while another relay of the name leads, whether that one has all sinks that this one has: nobody
/// serves the others. Says so in the log.
class Unserved {
 public:
  Unserved(io::Loop &loop, io::Log &log, pg::Connection &connection, std::string relay);

  void set_sinks(std::vector<std::string> sinks) { sinks_ = std::move(sinks); }
  void stand_by(bool stands_by);
  /// `Done`: all are served, or nobody leads. Otherwise says which are not, and the remedy.
  void check(core::Reply<Done> &reply);

 private:
  static constexpr std::int64_t kFirstMs = 2'000;
  static constexpr std::int64_t kEveryMs = 10'000;

  static Result<Done> decode(const pg::Rows &rows, std::size_t);
  void look();
  void on_answer(const Result<Done> &outcome);

  pg::Connection &connection_;
  std::string relay_;
  std::vector<std::string> sinks_;
  io::Outage outage_;
  io::Outage::Part unserved_{outage_};
  core::Reply<Done> reply_ = core::Reply<Done>::to<&Unserved::on_answer>(this);
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::relay
