#pragma once

#include <cstdint>
#include <memory>

#include "io/loop.h"
#include "pg/connection.h"
#include "pg/maintenance.h"

namespace await::relay {

/// Does what time brings, while this relay leads: expired leases, delays and deadlines every second,
/// partitions and purges every hour, each in bounded steps. Edges and workers do the same where there is no
/// relay; whoever is first in a second spares the others the work.
class Housekeeping {
 public:
  Housekeeping(io::Loop &loop, pg::Connection &connection);
  void lead(bool leads);

 private:
  static constexpr std::int64_t kPurgeMs = 3'600'000;
  void on_second();
  void on_purge();

  pg::Connection &connection_;
  pg::Maintenance maintenance_{connection_};
  std::unique_ptr<io::Timer> second_timer_;
  std::unique_ptr<io::Timer> purge_timer_;
};

}  // namespace await::relay
