#pragma once

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// core::Payloads on PostgreSQL: table await.chunk, a connection of its own so that large bodies stand
/// in nobody's way.
class PayloadStore : public core::Payloads {
 public:
  explicit PayloadStore(Connection &bulk) : bulk_(bulk) {}

  void put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes,
           core::Reply<Done> &reply) override;
  void get(const Uuid &job, int attempt, std::int64_t pos, core::Reply<core::Piece> &reply) override;
  void drop(const Uuid &job) override;

 private:
  Connection &bulk_;
};

}  // namespace await::pg
