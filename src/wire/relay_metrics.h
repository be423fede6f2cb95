#pragma once

#include <span>
#include <string>

#include "core/relay_stats.h"

namespace await::wire {

/// The metrics of the sinks of await-relay in the text format of Prometheus, version 0.0.4. Empty if there
/// are no sinks.
std::string relay_metrics(std::span<const core::RelayStats> sinks);

/// The metrics of webhooks. Empty if there never was a delivery.
std::string webhook_metrics(const core::DeliveryStats &deliveries);

}  // namespace await::wire
