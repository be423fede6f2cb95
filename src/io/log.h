#pragma once

#include <string_view>

namespace await::io {

/// The operator's log, for events that are not the result of a call, such as a lost connection.
class Log {
 public:
  virtual void info(std::string_view line) = 0;
  virtual void error(std::string_view line) = 0;

 protected:
  ~Log() = default;
};

}  // namespace await::io
