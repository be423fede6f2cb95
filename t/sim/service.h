#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sim/node.h"

namespace await::sim {

/// All that clients see of the service, and what was promised to them.
struct Service {
  World &world;
  Weather &weather;
  Database &database;
  std::vector<std::unique_ptr<Node>> nodes;
  std::int64_t bound_ms = 0;  ///< within which every watching client must be notified
  std::vector<Uuid> accepted;
  bool closing = false;  ///< no client reconnects
  /// The revoked users: the time of the last revocation, and their number.
  std::map<Uuid, std::pair<std::int64_t, int>> revoked;
  std::vector<Uuid> accepted_batches = {};
  std::uint64_t delivered = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t resets = 0;
  std::uint64_t answers = 0;
  std::uint64_t ended = 0;     ///< by revocation
  std::uint64_t poisoned = 0;  ///< answers that were refused for what was asked

  /// Unix time, as PostgreSQL has it.
  std::int64_t database_ms() const { return weather.database_ms(world.now()); }
  /// A node that is up, by chance; null if none is.
  Node *some_node() {
    std::vector<Node *> up;
    for (auto &node : nodes) {
      if (node)
        up.push_back(node.get());
    }
    return up.empty() ? nullptr
                      : up[static_cast<std::size_t>(world.between(0, static_cast<int>(up.size()) - 1))];
  }
};

/// A client's way back: once at a time, after a while, and not while the service is closing.
class Comeback {
 public:
  Comeback(Service &service, std::function<void()> connect)
      : service_(service), connect_(std::move(connect)) {}
  ~Comeback() { *alive_ = false; }
  Comeback(const Comeback &) = delete;
  Comeback &operator=(const Comeback &) = delete;

  void after(std::int64_t least_ms, std::int64_t most_ms) {
    if (std::exchange(under_way_, true))
      return;
    service_.world.after(service_.world.between(least_ms, most_ms), [this, alive = alive_] {
      if (!*alive)
        return;
      under_way_ = false;
      if (service_.closing) {
        after(1000, 2000);
        return;
      }
      ++service_.reconnects;
      connect_();
    });
  }

 private:
  Service &service_;
  std::function<void()> connect_;
  bool under_way_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace await::sim
