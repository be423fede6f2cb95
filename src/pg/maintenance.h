#pragma once

#include <memory>
#include <utility>

#include "pg/connection.h"
#include "pg/statements.h"

namespace await::pg {

/// Does what time brings: expired leases, delays, deadlines. Each call of the function is a bounded step;
/// while it says that it has done something, it is called again at once.
class Maintenance {
 public:
  explicit Maintenance(Connection &connection) : connection_(connection) {}

  /// Begins, unless it is still running, as when PostgreSQL is slow.
  void run() {
    if (!std::exchange(running_, true))
      connection_.send(std::make_unique<Step>(*this));
  }

  bool running() const { return running_; }

 private:
  struct Step : Statement {
    explicit Step(Maintenance &maintenance) : Statement(statements::kTick, Params()), owner(maintenance) {
      background = true;
    }
    void finish(Result<Rows> outcome) override {
      owner.running_ = false;
      if (outcome && outcome->count() == 1 && outcome->number(0, 0) > 0)
        owner.run();
    }
    Maintenance &owner;
  };

  Connection &connection_;
  bool running_ = false;
};

/// Creates partitions, and deletes what is past its retention. A line that begins with "more" asks for
/// another call.
class Purge : public Statement {
 public:
  static void run(Connection &connection) { connection.send(std::make_unique<Purge>(connection)); }

  explicit Purge(Connection &connection) : Statement(statements::kPurge, Params()), connection_(connection) {
    background = true;
  }

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
