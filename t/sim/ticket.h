#pragma once

#include "core/ticket_batcher.h"
#include "sim/poison.h"
#include "sim/service.h"

namespace await::sim {

/// A ticket that is shown twice, to any nodes at any moments.
struct ShownTicket {
  ShownTicket(Service &at, const Uuid &id) : service(at) {
    for (core::TicketRedemption *one : {&first, &second})
      one->ticket = {id, "u", at.database_ms(), INT64_MAX};
  }
  void show(core::TicketRedemption &entrant) {
    if (Node *node = service.some_node())
      node->ticket_batcher.add(entrant);
  }
  void answered(Result<bool> good) {
    if (!good)
      Poisoner::must_be_innocent(service, good.error());
    admitted += good && *good ? 1 : 0;
    if (admitted > 1)
      service.world.violated("P7", "a ticket let two in");
    // of two sure answers one is yes: nothing else has used it
    refused += good && !*good ? 1 : 0;
    if (refused == 2)
      service.world.violated("P7", "a ticket let nobody in");
  }
  ~ShownTicket() { *alive = false; }
  Service &service;
  std::int64_t began = service.world.now();
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  int admitted = 0;
  int refused = 0;
  core::TicketRedemption first{core::Callback<Result<bool>>::to<&ShownTicket::answered>(this)};
  core::TicketRedemption second{core::Callback<Result<bool>>::to<&ShownTicket::answered>(this)};
};

}  // namespace await::sim
