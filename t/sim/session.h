#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/follower.h"

namespace await::sim {

/// A client that watches channels through any number of connections to any node.
class Session {
 public:
  /// An event stream; one JSON page after another; a WebSocket.
  enum class Kind { stream, pages, socket };

  Session(Service &service, Kind kind, std::vector<std::unique_ptr<Follower>> followers);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  void start() { connect(); }
  /// The node goes down, or the client leaves.
  void disconnect();
  void failed_over();
  void check_wait();
  Node *node() const;
  /// Since when it is connected as it is now.
  std::int64_t began() const { return began_; }
  /// It was revoked: none of theirs may live on.
  bool is_of(const Uuid &user) const;
  /// It has all there will ever be.
  bool done() const;
  bool has_all() const;
  /// Whether a job of it was lost in a failover.
  bool is_lost() const;
  bool lives_for_ever() const;
  std::string name() const;

 private:
  struct Connection;
  struct Stream;
  struct Pages;
  struct Socket;
  void connect();
  /// The server has ended it.
  void over();
  /// @param mixed  the cursor is of all channels
  void hear(Follower &follower, Message message, bool mixed);
  std::string cursor_for_stream() const;
  bool knows_all() const;
  std::size_t at(const Follower &follower) const;

  Service &service_;
  Kind kind_;
  std::vector<std::unique_ptr<Follower>> followers_;
  std::vector<std::string> cursors_;  // of each
  std::string mixed_;                 // of all, for a stream; empty: not all are known
  std::unique_ptr<Connection> connection_;
  std::int64_t began_ = 0;
  bool done_ = false;
  Comeback comeback_{service_, [this] { connect(); }};
};

}  // namespace await::sim
