#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/log.h"
#include "io/loop.h"

namespace await::http {

/// Counts the requests that are answered with an error because of the database, so that an outage does not
/// write a line for each of them: the first one of a reason is logged with its request, and then a line every
/// ten seconds says how many there were.
class Refusals {
 public:
  enum class Kind : std::uint8_t { submission, other };

  Refusals(io::Loop &loop, io::Log &log);

  /// Counts a request.
  /// @return  whether the caller logs it, as the first one
  bool count(Kind kind, const std::string &reason);

 private:
  static constexpr std::int64_t kWindowMs = 10'000;
  static constexpr std::size_t kMostReasons = 8;  // reasons may contain names of clients

  struct Reason {
    std::string text;
    std::int64_t counts[2] = {};  // by Kind, in this window
    bool logged = false;          // in this window, with its request
  };

  void on_window();
  void log_count(const Reason &reason, Kind kind, const char *one, const char *many);

  io::Loop &loop_;
  io::Log &log_;
  std::vector<Reason> reasons_;
  std::int64_t began_ms_ = 0;
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::http
