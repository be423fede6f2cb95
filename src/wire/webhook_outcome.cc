#include "wire/webhook_outcome.h"

#include <algorithm>

namespace await::wire {
namespace {

constexpr std::int64_t kLongestMs = std::int64_t{8} * 3600 * 1000;

}  // namespace

std::int64_t webhook_delay_ms(int made, std::int64_t first_ms, double random) {
  std::int64_t delay = std::min(first_ms, kLongestMs);
  for (int i = 1; i < made && delay < kLongestMs; ++i)
    delay = std::min(delay * 3, kLongestMs);
  return static_cast<std::int64_t>(static_cast<double>(delay) * (0.8 + 0.4 * random));
}

WebhookOutcome judge_webhook(int status, std::optional<std::int64_t> retry_after_ms, int made,
                             std::int64_t first_ms, double random) {
  using Kind = WebhookOutcome::Kind;
  if (status >= 200 && status < 300)
    return {Kind::delivered, 0};
  if (status == 410)
    return {Kind::gone, 0};
  std::int64_t delay = webhook_delay_ms(made, first_ms, random);
  bool asks = status == 429 || status == 503;
  return {Kind::retry, asks ? std::max(delay, retry_after_ms.value_or(0)) : delay};
}

}  // namespace await::wire
