#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/queue_stats.h"

namespace await::wire {

/// The metrics of queues in the text format of Prometheus, version 0.0.4. Empty if there are no rows.
/// @param age_ms  how old the rows are
std::string queue_metrics(std::span<const core::QueueStats> queues, std::int64_t age_ms);

/// The value of a label, with quotes.
std::string label_value(std::string_view text);

}  // namespace await::wire
