#pragma once

#include <vector>

#include "core/ports.h"
#include "core/queue_stats.h"
#include "core/relay_stats.h"
#include "pg/connection.h"

namespace await::pg {

/// Reads the state of the `most` most important queues, and in one more row of all others together. One
/// session also counts what has happened since the last call.
void read_queue_stats(Connection &connection, int most, core::Reply<std::vector<core::QueueStats>> &reply);

/// Reads how far the first `most` sinks of await-relay have come.
void read_relay_stats(Connection &connection, int most, core::Reply<std::vector<core::RelayStats>> &reply);

/// Reads what became of the deliveries of webhooks.
void read_delivery_stats(Connection &connection, core::Reply<core::DeliveryStats> &reply);

}  // namespace await::pg
