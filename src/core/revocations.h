#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/ports.h"

namespace await::core {

/// Whose live streams are to end: asked for now and then, and whenever somebody says that there is news. Acts
/// once on each revocation, however it was heard of.
class Revocations {
 public:
  /// @param end  ends everything of this owner that is live now
  Revocations(AccessStore &gate, Callback<const std::string &> end) : gate_(gate), end_(end) {}

  /// Whether what was issued to this owner then, by the database's clock, has been revoked since, as far as
  /// is known here: what becomes live after the revocation was acted on must not be overlooked.
  bool is_revoked(const std::string &owner, std::int64_t issued_ms) const {
    auto at = known_.find(owner);
    return at != known_.end() && at->second >= issued_ms;
  }

  void look() {
    again_ = reply_.waiting();
    if (!again_)
      gate_.revoked(reply_);
  }

 private:
  void on_result(Result<std::vector<Revoked>> list) {
    if (list) {
      std::map<std::string, std::int64_t> known;
      for (Revoked &one : *list) {
        auto before = known_.find(one.owner);
        // mutant: revocation-again
        if (before == known_.end() || before->second < one.at_ms)
          end_(one.owner);
        known.emplace(std::move(one.owner), one.at_ms);
      }
      // mutant: revocation-counts-once
      known_ = std::move(known);
    }
    // mutant: revocation-during-read
    if (std::exchange(again_, false))
      gate_.revoked(reply_);
  }

  AccessStore &gate_;
  Callback<const std::string &> end_;
  std::map<std::string, std::int64_t> known_;  // when each was acted on, by the database's clock
  bool again_ = false;                         // there was news while we asked
  Reply<std::vector<Revoked>> reply_ = Reply<std::vector<Revoked>>::to<&Revocations::on_result>(this);
};

}  // namespace await::core
