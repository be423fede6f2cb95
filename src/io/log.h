#pragma once

#include <string_view>

namespace await::io {

/// Where a connection tells its operator of what cannot be answered to a caller.
class Log {
 public:
  virtual void info(std::string_view line) = 0;
  virtual void error(std::string_view line) = 0;

 protected:
  ~Log() = default;
};

}  // namespace await::io
