#pragma once

#include <map>
#include <memory>
#include <vector>

#include "sim/node.h"

namespace await::sim {

/// All that clients see of the service, and what was promised to them.
struct Service {
  World &world;
  Weather &weather;
  Database &database;
  std::vector<std::unique_ptr<Node>> nodes;
  std::int64_t bound_ms = 0;  ///< within which whoever watches must know
  std::vector<Uuid> accepted;
  bool closing = false;  ///< no client comes back any more
  /// Users who were revoked: when the last time was, and how often.
  std::map<Uuid, std::pair<std::int64_t, int>> revoked;
  std::uint64_t delivered = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t resets = 0;
  std::uint64_t answers = 0;
  std::uint64_t ended = 0;  ///< by revocation

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

}  // namespace await::sim
