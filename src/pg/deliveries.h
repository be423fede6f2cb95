#pragma once

#include <optional>
#include <string>

#include "core/delivery.h"
#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

void list_deliveries(Connection &connection, const core::DeliveryQuery &query,
                     core::Reply<core::DeliveryPage> &reply);
/// Sends a delivery once more that has ended.
/// @param owner  only one of the own URL of a job of this owner; empty: any
void retry_delivery(Connection &connection, std::int64_t id, const std::optional<std::string> &owner,
                    core::Reply<core::Resent> &reply);

}  // namespace await::pg
