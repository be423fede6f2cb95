#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "io/log.h"

/// What the programs have in common: arguments, environment, signals, messages.
namespace await::cli {

/// Writes to standard error, a line each, with the name of the program in front.
class StderrLog : public io::Log {
 public:
  explicit StderrLog(std::string program) : program_(std::move(program)) {}
  void info(std::string_view line) override { print(line); }
  void error(std::string_view line) override { print(line); }

 private:
  void print(std::string_view line) const;
  std::string program_;
};

/// "5m", "90s", "1h" or "250ms" in milliseconds; empty if it is not a time.
std::optional<std::int64_t> parse_time(std::string_view text);
/// For CLI11: what is wrong with a time; empty if nothing is.
std::string is_time(const std::string &text);

/// The variable of the environment; empty if it is not set or "".
std::optional<std::string> from_environment(const char *name);

/// Where standard input, output or error is closed, something that cannot be used has its number from now on:
/// a connection would get it, and be written to as if it were that.
void keep_standard_descriptors();

/// host:pid
std::string process_name();

/// Blocks the signals, and returns a descriptor that becomes readable when one arrives (signalfd).
int open_signals(std::initializer_list<int> signals);

}  // namespace await::cli
