#pragma once

#include <string>

#include "core/hub.h"
#include "core/ports.h"

namespace await::core {

/// Asks the database every `await_reread` what has changed, so that lost hints do no harm (P3), and notifies
/// the hub. Reads the changes since the last snapshot, so that the cost depends on the events and not on the
/// listeners; reads by id if few jobs are watched, after a reconnect, or after too many changes for one read.
class Reread {
 public:
  struct Limits {
    std::size_t few = 200;      ///< watched jobs up to which they are read by id
    std::size_t slice = 20000;  ///< maximum number of ids in one read
  };
  Reread(Store &store, Hub &hub, Limits limits) : store_(store), hub_(hub), limits_(limits) {}

  /// Starts a read. Does nothing if the last one is still in flight or no job is watched.
  void run();
  /// The connection was lost: the snapshot may be of another timeline.
  // mutant: reread-forgets-history
  void reset() { snapshot_.clear(); }
  /// How many times everything that is watched has been asked for.
  std::uint64_t rounds() const { return rounds_; }

 private:
  void by_id();
  void on_first_snapshot(std::string snapshot);
  void on_result(Result<Tail> tail);

  Store &store_;
  Hub &hub_;
  Limits limits_;
  std::string snapshot_;
  std::string next_snapshot_;  // from before the first slice, while reading by id
  std::vector<Uuid> to_ask_;   // what is left, while reading by id
  bool asking_ = false;
  std::uint64_t rounds_ = 0;
  Reply<Tail> reply_ = Reply<Tail>::to<&Reread::on_result>(this);
};

}  // namespace await::core
