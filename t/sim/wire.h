#pragma once

#include <algorithm>
#include <functional>
#include <memory>

#include "sim/world.h"

namespace await::sim {

/// The way from a server to a client: in order, not at once, lost with the connection.
class Wire {
 public:
  explicit Wire(World &world) : world_(world), slow_(world.chance(0.1)) {}
  ~Wire() { *alive_ = false; }

  bool idle() const { return unsent_ == 0; }
  /// Nothing more should be sent just now: `room` will be called when something can be.
  bool full() const { return unsent_ > kPiece; }
  std::function<void()> room;

  /// @param arrive  may be the end of the wire
  void send(std::function<void()> arrive) {
    ++unsent_;
    last_sent_ = std::max(last_sent_, world_.now() + world_.between(0, slow_ ? 60 : 2));
    after(last_sent_ - world_.now(), [this, arrive = std::move(arrive)] {
      --unsent_;
      if (!full() && room)
        room();
      arrive();
    });
  }
  /// Unless it is cut before.
  void after(std::int64_t ms, std::function<void()> what) {
    world_.after(ms, [alive = alive_, what = std::move(what)] {
      if (*alive)
        what();
    });
  }

  static constexpr int kPiece = 6;  ///< so many events a client is sent before it has taken some

 private:
  World &world_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool slow_;
  int unsent_ = 0;
  std::int64_t last_sent_ = 0;
};

}  // namespace await::sim
