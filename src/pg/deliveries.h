#pragma once

#include "core/delivery.h"
#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

void list_deliveries(Connection &connection, const core::DeliveryQuery &query,
                     core::Reply<core::DeliveryPage> &reply);
/// Sends a delivery once more that has ended.
void retry_delivery(Connection &connection, std::int64_t id, core::Reply<core::Resent> &reply);

}  // namespace await::pg
