#pragma once

#include <string>

#include "pg/connection.h"
#include "relay/leases.h"

namespace await::relay {

/// await.relay_lease, by a connection.
class PgLeases : public Leases {
 public:
  explicit PgLeases(pg::Connection &connection) : connection_(connection) {}
  void ask(const std::string &relay, const std::string &holder, std::optional<std::int64_t> token,
           std::int64_t span_ms, core::Reply<Lease> &reply) override;
  void release(const std::string &relay, std::int64_t token) override;

 private:
  pg::Connection &connection_;
};

}  // namespace await::relay
