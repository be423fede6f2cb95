#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/ports.h"

namespace await::core {

/// Reads revocations periodically and after a notification, and acts once on each.
class Revocations {
 public:
  /// @param end  ends all live connections of this owner
  Revocations(AccessStore &store, Callback<const std::string &> end) : store_(store), end_(end) {}

  /// Whether access that was granted to the owner at `issued_ms` (Unix time by the clock of the database) has
  /// been revoked since, as far as is known. For connections that are made after end() was called.
  bool is_revoked(const std::string &owner, std::int64_t issued_ms) const {
    auto at = known_.find(owner);
    return at != known_.end() && at->second >= issued_ms;
  }

  /// Reads. If a read is in flight, reads once more after it.
  void look() {
    again_ = reply_.waiting();
    if (!again_)
      store_.revocations(reply_);
  }

 private:
  void on_result(Result<std::vector<Revoked>> list) {
    if (list) {
      std::map<std::string, std::int64_t> known;
      for (Revoked &one : *list) {
        auto before = known_.find(one.owner);
        // mutant: revocation-again
        if (before == known_.end() || before->second != one.at_ms)  // earlier: the clock was set back
          end_(one.owner);
        known.emplace(std::move(one.owner), one.at_ms);
      }
      // mutant: revocation-counts-once
      known_ = std::move(known);
    }
    // mutant: revocation-during-read
    if (std::exchange(again_, false))
      store_.revocations(reply_);
  }

  AccessStore &store_;
  Callback<const std::string &> end_;
  std::map<std::string, std::int64_t> known_;  // the last revocation of each owner
  bool again_ = false;                         // look() was called during a read
  Reply<std::vector<Revoked>> reply_ = Reply<std::vector<Revoked>>::to<&Revocations::on_result>(this);
};

}  // namespace await::core
