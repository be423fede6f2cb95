#pragma once

#include "core/ports.h"
#include "pg/connection.h"

namespace await::pg {

/// core::Payloads on PostgreSQL: the table await.chunk. Uses a separate connection, so that large bodies do
/// not delay other statements.
class PayloadStore : public core::Payloads {
 public:
  explicit PayloadStore(Connection &bulk) : bulk_(bulk) {}

  void put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes,
           core::Reply<Done> &reply) override;
  void get(const Uuid &job, int attempt, std::int64_t pos, core::Reply<core::Chunk> &reply) override;
  void drop(const Uuid &job) override;

 private:
  Connection &bulk_;
};

}  // namespace await::pg
