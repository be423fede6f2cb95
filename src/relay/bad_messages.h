#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/log.h"
#include "io/loop.h"

namespace await::relay {

/// Logs messages of a source that are no valid jobs: a few in a minute, and at its end how many more there
/// were.
class BadMessages {
 public:
  static constexpr int kMostLines = 20;
  static constexpr std::int64_t kMinuteMs = 60'000;

  /// @param name  of the source
  BadMessages(io::Loop &loop, io::Log &log, std::string name);

  /// @param line  which message, and why
  void add(const std::string &line);
  /// What is not said yet is said now, because the lead ends.
  void end_minute();

 private:
  io::Log &log_;
  const std::string name_;
  std::int64_t count_ = 0;  // in this minute
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::relay
