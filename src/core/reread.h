#pragma once

#include <string>

#include "core/hub.h"
#include "core/ports.h"

namespace await::core {

/// Promise P3: every `await_reread` the truth is asked what has changed, whoever published what. The
/// cost follows the events, not the listeners: one thin tail for all jobs; by id where few are watched,
/// after a reconnect, or when there was more than one read may hold.
class Reread {
 public:
  struct Limits {
    std::size_t few = 200;      ///< watched jobs, up to here by id
    std::size_t slice = 20000;  ///< ids in one read
  };
  Reread(Store &store, Hub &hub, Limits limits) : store_(store), hub_(hub), limits_(limits) {}

  /// Time to look. Does nothing while the last look is still out or nobody watches.
  void run();
  /// The connection was lost: the snapshot may be of another history.
  // mutant: reread-forgets-history
  void reset() { snapshot_.clear(); }

 private:
  void by_id();
  void on_result(Result<Tail> tail);

  Store &store_;
  Hub &hub_;
  Limits limits_;
  std::string snapshot_;
  std::string next_snapshot_;  // of the first slice of a look by id
  std::vector<Uuid> to_ask_;   // what is left of a look by id
  bool asking_ = false;
  Reply<Tail> reply_ = Reply<Tail>::to<&Reread::on_result>(this);
};

}  // namespace await::core
