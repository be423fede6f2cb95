#pragma once

#include <string>
#include <vector>

#include "pg/connection.h"
#include "relay/cursors.h"
#include "relay/leader.h"

namespace await::relay {

/// await.relay_open and await.relay_advance, by a connection and with the token of a leader.
class PgCursors : public Cursors {
 public:
  PgCursors(pg::Connection &connection, Leader &leader) : connection_(connection), leader_(leader) {}

  bool writable() const override { return leader_.leads(); }
  void open(const std::vector<std::string> &sinks, core::Reply<std::vector<StoredCursor>> &reply) override;
  void advance(const std::string &sink, std::int64_t no, const Progress &progress,
               core::Reply<Advanced> &reply) override;

 private:
  pg::Connection &connection_;
  Leader &leader_;
};

}  // namespace await::relay
