#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "sim/clients.h"

namespace await::sim {

/// A client that follows all jobs of a user through any number of connections to any node. What it is given
/// is compared with the truth: everything that was committed after its first moment, each event once, each
/// job's in order.
class UserClient {
 public:
  UserClient(Service &service, const Uuid &user);
  ~UserClient();

  void start() { connect(); }
  /// The node goes down, or the client leaves.
  void disconnect();
  Node *node() const;
  /// A failover: what it holds may be of a history that never was, so it is owed a reset.
  void failed_over();
  /// Whether it is owed something for too long.
  void check_wait();
  /// Whether it has everything.
  bool has_all() const;

 private:
  struct Stream;
  struct Message {
    std::string cursor;
    Uuid job;
    int seq;  // 0: no event, only the cursor
    std::uint64_t uid;
    bool reset;
    std::uint32_t timeline;
  };
  void connect();
  void come_back(std::int64_t least_ms, std::int64_t most_ms);
  void hear(const Message &message);
  void check(const Message &message);
  /// The events it should have by now: number by number, as the database wrote them.
  std::map<std::uint64_t, std::pair<Uuid, int>> due() const;

  Service &service_;
  Uuid user_;
  std::unique_ptr<Stream> stream_;
  std::string cursor_;
  std::string since_;  // the moment from which on it is owed everything; empty: it knows of none
  std::set<std::uint64_t> had_;
  std::map<Uuid, int> at_;                         // the last seq of each job
  std::map<std::uint64_t, std::int64_t> waiting_;  // what it is owed, and since when that is there
  std::size_t knew_ = 0;                           // how many it had when it was last looked at
  bool must_be_reset_ = false;
  bool coming_back_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace await::sim
