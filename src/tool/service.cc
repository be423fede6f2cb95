#include "tool/service.h"

#include <time.h>

#include <algorithm>

namespace await::tool {
namespace {

std::int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

constexpr std::int64_t kNever = INT64_MAX / 2;

}  // namespace

Deadline::Deadline(std::optional<std::int64_t> ms) : until_(ms ? now_ms() + *ms : kNever) {}

std::int64_t Deadline::left_ms() const {
  return until_ == kNever ? kNever : std::max<std::int64_t>(until_ - now_ms(), 0);
}

}  // namespace await::tool
