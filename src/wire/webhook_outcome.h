#pragma once

#include <cstdint>
#include <optional>

namespace await::wire {

/// What becomes of a delivery after an attempt.
struct WebhookOutcome {
  enum class Kind : std::uint8_t {
    delivered,
    retry,  ///< after `delay_ms`
    gone,   ///< the receiver wants no more: the endpoint is disabled
  };
  Kind kind = Kind::retry;
  std::int64_t delay_ms = 0;
};

/// How long to wait before the next attempt: `first_ms` after the first one, then three times as long as
/// before, up to eight hours, all of it up to a fifth more or less.
/// @param made  the attempts that were made, the last one included
/// @param random  0 … 1
std::int64_t webhook_delay_ms(int made, std::int64_t first_ms, double random);

/// Judges an attempt: only 2xx is a success, 410 ends everything, and whatever else is tried again.
/// @param status  of the response; 0: there was none
/// @param retry_after_ms  what a response with 429 or 503 asks for: the delay is no shorter
/// Source: Standard Webhooks 1.0.0, "Deliverability and reliability".
WebhookOutcome judge_webhook(int status, std::optional<std::int64_t> retry_after_ms, int made,
                             std::int64_t first_ms, double random);

}  // namespace await::wire
