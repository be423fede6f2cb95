#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/log.h"
#include "io/loop.h"

namespace await::io {

/// Logs the failures of a server, and its recovery, so that the log of a long outage stays short. A reason is
/// logged when it is new, and again after a minute if it still holds or has come back: the newest line of the
/// log is the reason that counts. A server that fails and recovers all the time is logged less often.
class Outage {
 public:
  Outage(Loop &loop, Log &log) : loop_(loop), log_(log) {}

  /// One of the things that can fail, such as one of several connections. The outage ends when none of them
  /// fails any more.
  class Part {
   public:
    explicit Part(Outage &outage) : outage_(outage) {}
    Part(const Part &) = delete;
    Part &operator=(const Part &) = delete;
    ~Part() { outage_.failing_ -= failing_ ? 1 : 0; }

    /// @param line  what has failed, and why
    void fail(const std::string &line);
    /// @param line  what works again; logged with the duration of the outage
    void recover(std::string_view line);
    bool failing() const { return failing_; }
    /// The line of the last failure; empty if there was none since the recovery.
    const std::string &reason() const { return reason_; }

   private:
    Outage &outage_;
    bool failing_ = false;
    std::string reason_;
  };

 private:
  static constexpr std::int64_t kRepeatMs = 60'000;
  static constexpr std::int64_t kLineMs = 6'000;  // one more line is allowed
  static constexpr int kMostLines = 20;           // in quick succession
  static constexpr std::size_t kMostReasons = 8;

  struct Logged {
    std::string line;
    std::int64_t at_ms;
  };

  void begin_or_continue(const std::string &line);
  void end(std::string_view line);
  bool may_log();

  Loop &loop_;
  Log &log_;
  int failing_ = 0;
  bool logged_ = false;  // that it has begun
  std::int64_t began_ms_ = 0;
  std::vector<Logged> reasons_;
  int lines_ = kMostLines;
  std::int64_t lines_at_ms_ = 0;
};

}  // namespace await::io
