#pragma once

#include "core/follow.h"
#include "core/gather.h"
#include "core/hub.h"
#include "core/retries.h"

namespace await::core {

/// What watchers of one kind of need work with.
template <class Need>
struct Desk {
  Hub &hub;
  Retries &retries;
  Gather<Need> &reads;
};

/// One client's watch on one job: registers with the hub first, reads second, and reads again whenever
/// there may be news. What it has read goes to `got`, with an error where it could not be read; then it
/// tries again by itself until it is destroyed or left.
///
/// Kept alive by: the request it belongs to. `got` may destroy it.
template <class Need>
class Watcher : private Listener, private Retry {
 public:
  using Row = typename Need::Row;

  Watcher(Desk<Need> &desk, Callback<Result<const Row *>> got) : desk_(desk), got_(got) {}

  Desk<Need> &desk() const { return desk_; }
  /// What is read: its job, and how much of it.
  Need &need() { return need_; }
  const Need &need() const { return need_; }
  /// Hints of `job` count from now on; they cause no read before the first look().
  // mutant: watcher-subscribes
  void listen(const Uuid &job) { desk_.hub.listen(job, *this); }
  /// Reads. Never calls back before it returns.
  void look() {
    started_ = true;
    need_.urgent = false;
    apply(follow_.look());
  }
  /// What `got` was given has been taken in: the client has seen `seen`, the job stands at `last`.
  void seen(int seen, int last) {
    Retry::unlink();  // this was it
    apply(follow_.got(seen, last));
  }
  /// Forgets what was seen and reads anew.
  void restart() {
    Retry::unlink();
    need_.unlink();
    follow_ = Follow();
    look();
  }

  /// Takes signed hints for a read (the default), or only as a reason to read.
  void trust(bool signed_hints) { trusts_ = signed_hints; }

  /// The client is slow: no more reads until resume(). The truth waits in PostgreSQL, not in our memory.
  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    // mutant: resume-reads
    if (std::exchange(wants_read_, false))
      desk_.reads.add(need_);
  }
  bool paused() const { return paused_; }

  /// No more reads, hints or calls.
  void leave() {
    Retry::unlink();
    if (listening())
      desk_.hub.leave(*this);
    need_.unlink();
    wants_read_ = false;
  }

 private:
  void changed(int seq) noexcept override {
    need_.urgent = true;
    // mutant: no-read-before-start
    if (started_)
      apply(follow_.told(seq));
  }
  unsigned told(const Told &told) noexcept override {
    if (!started_)
      return 1;
    need_.urgent = true;
    bool ready = trusts_ && !paused_ && follow_.may_take(told.last());
    const Row *row = ready ? need_.told(told) : nullptr;
    if (row != nullptr)
      got_(row);  // may destroy this
    else
      // mutant: early-proof-is-a-hint
      apply(follow_.told(told.last()));
    return Need::kCost;
  }
  void history_changed() noexcept override {
    if (started_)
      restart();
  }
  void retry() noexcept override { apply(follow_.look()); }

  void apply(Follow::Action action) {
    if (action.what == Follow::Action::retry)
      desk_.retries.put(*this, action.delay_ms);
    else if (action.what == Follow::Action::read && paused_)
      wants_read_ = true;
    else if (action.what == Follow::Action::read)
      desk_.reads.add(need_);
  }

  void landed(Result<const Row *> row) {
    if (!row)
      apply(follow_.failed());
    got_(std::move(row));
  }

  Desk<Need> &desk_;
  Callback<Result<const Row *>> got_;
  Follow follow_;
  Need need_{Callback<Result<const Row *>>::template to<&Watcher::landed>(this)};
  bool started_ = false;
  bool trusts_ = true;
  bool paused_ = false;
  bool wants_read_ = false;  // paused when it would have read
};

}  // namespace await::core
