#pragma once

#include <memory>

#include "pg/connection.h"
#include "pg/statements.h"

namespace await::pg {

/// Does what time brings: expired leases, delays, deadlines. Each call of the function is a bounded step;
/// while it says that it has done something, it is called again at once.
class Maintenance : public Statement {
 public:
  static void run(Connection &connection) { connection.send(std::make_unique<Maintenance>(connection)); }

  explicit Maintenance(Connection &connection)
      : Statement(statements::kTick, Params()), connection_(connection) {}

  void finish(Result<Rows> outcome) override {
    if (outcome && outcome->count() == 1 && outcome->number(0, 0) > 0)
      run(connection_);
  }

 private:
  Connection &connection_;
};

/// Creates partitions, and deletes what is past its retention. A line that begins with "more" asks for
/// another call.
class Purge : public Statement {
 public:
  static void run(Connection &connection) { connection.send(std::make_unique<Purge>(connection)); }

  explicit Purge(Connection &connection) : Statement(statements::kPurge, Params()), connection_(connection) {}

  void finish(Result<Rows> outcome) override {
    for (int row = 0; outcome && row < outcome->count(); ++row) {
      if (outcome->bytes(row, 0).starts_with("more")) {
        run(connection_);
        return;
      }
    }
  }

 private:
  Connection &connection_;
};

}  // namespace await::pg
