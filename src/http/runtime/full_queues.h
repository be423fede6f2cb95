#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/ports.h"

namespace await::http {

/// Remembers for a moment that a queue was full, or full for an owner: who submits to it then is refused
/// before the body is read, without a statement.
class FullQueues {
 public:
  struct Known {
    core::Full full;
    std::int64_t retry_ms;  ///< from now
  };

  /// The limit that a submission of this job would meet.
  std::optional<Known> find(const core::NewJob &job, std::int64_t now_ms);
  /// A submission of this job has met a limit.
  void note(const core::NewJob &job, const core::Submitted &refused, std::int64_t now_ms);

 private:
  static constexpr std::int64_t kRememberMs = 500;
  static constexpr std::size_t kMost = 10'000;

  struct Entry {
    std::int64_t until_ms;
    std::int64_t retry_at_ms;
  };
  std::map<std::string, Entry> entries_;  // by limit, queue and owner
};

}  // namespace await::http
