#include "core/reread.h"

#include <algorithm>

#include "core/kind.h"

namespace await::core {

void Reread::run() {
  // mutant: reread-runs
  if (reply_.waiting())
    return;
  if (hub_.jobs() == 0) {
    snapshot_.clear();  // a client that starts to watch later reads first
    return;
  }
  asking_ = snapshot_.empty() || hub_.jobs() <= limits_.few;
  next_snapshot_.clear();
  to_ask_.clear();
  if (asking_)
    by_id();  // of no job: only the snapshot
  else
    store_.tail(snapshot_, reply_);
}

/// The snapshot that a read by id begins with: what is read after it misses nothing. A read that was sent
/// earlier might be older, as may be those of listeners that have come since.
void Reread::on_first_snapshot(std::string snapshot) {
  next_snapshot_ = std::move(snapshot);
  to_ask_ = hub_.watched();
  std::erase_if(to_ask_, [this](const Uuid &id) {
    bool user = kind_of(id) == Kind::user;
    if (user)
      hub_.notify(id, 0);  // they read from their own positions
    return user;
  });
}

void Reread::by_id() {
  std::size_t n = std::min(limits_.slice, to_ask_.size());
  auto first = to_ask_.end() - static_cast<std::ptrdiff_t>(n);
  std::vector<Uuid> slice(first, to_ask_.end());
  to_ask_.erase(first, to_ask_.end());  // with resize() GCC 14 warns about growing
  store_.heads(slice, reply_);
}

void Reread::on_result(Result<Tail> tail) {
  if (!tail) {
    reset();  // read by id next time
    return;
  }
  if (asking_ && next_snapshot_.empty())
    on_first_snapshot(tail->snapshot);
  snapshot_ = asking_ ? next_snapshot_ : tail->snapshot;
  // mutant: reread-cut-short
  if (!tail->complete)
    reset();
  if (tail->complete && (!asking_ || to_ask_.empty()))
    ++rounds_;
  // mutant: reread-notifies
  for (auto &[job, seq] : tail->changes)
    hub_.notify(job, seq);
  // mutant: reread-all-slices
  if (asking_ && !to_ask_.empty())
    by_id();
  else if (snapshot_.empty() && hub_.jobs() > 0)
    run();
}

}  // namespace await::core
