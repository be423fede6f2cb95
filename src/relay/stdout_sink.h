#pragma once

#include <memory>
#include <string>

#include "io/loop.h"
#include "relay/sink.h"

namespace await::relay {

/// Writes each event as a line of JSON (wire/relay_document.h). A reader that is slow stops it, and nothing
/// else; one that has gone ends the relay. Never blocks, although the descriptor is left as it is: other
/// processes may have the same one.
class StdoutSink : public Sink {
 public:
  StdoutSink(io::Loop &loop, int fd, bool thin);

  void deliver(std::span<const RelayEvent> events, core::Reply<Done> &reply) override;
  void check(core::Reply<Done> &reply) override;
  bool finished() const override;

 private:
  void on_ready();
  void end(Result<Done> outcome);
  void reply_later(core::Reply<Done> &reply, Result<Done> outcome);

  int fd_;
  bool thin_;
  bool finished_ = false;
  std::string out_;
  std::size_t written_ = 0;
  bool between_lines_ = true;  // what was written ends with a whole line
  List<core::Reply<Done>> waiting_;
  Result<Done> outcome_ = Done{};
  std::unique_ptr<io::FdWatcher> watch_;
  std::unique_ptr<io::Timer> timer_;  // of an outcome that is known at once
};

}  // namespace await::relay
