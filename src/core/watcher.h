#pragma once

#include "core/hub.h"
#include "core/read_batcher.h"
#include "core/read_scheduler.h"
#include "core/retry_queue.h"

namespace await::core {

/// What watchers of one kind of need work with.
template <class Read>
struct ReadServices {
  Hub &hub;
  RetryQueue &retries;
  ReadBatcher<Read> &batcher;
};

/// One client's watch on one job: registers with the hub first, reads second, and reads again whenever
/// there may be news. What it has read goes to `got`, with an error where it could not be read; then it
/// tries again by itself until it is destroyed or left.
///
/// Kept alive by: the request it belongs to. `got` may destroy it.
template <class Read>
class Watcher : private Listener, private Retry {
 public:
  using Row = typename Read::Row;

  Watcher(ReadServices<Read> &services, Callback<Result<const Row *>> on_read)
      : services_(services), on_read_(on_read) {}

  ReadServices<Read> &services() const { return services_; }
  /// What is read: its job, and how much of it.
  Read &read() { return read_; }
  const Read &read() const { return read_; }
  /// Hints of `job` count from now on; they cause no read before the first look().
  // mutant: watcher-subscribes
  void listen(const Uuid &job) { services_.hub.listen(job, *this); }
  /// Reads. Never calls back before it returns.
  void look() {
    started_ = true;
    read_.urgent = false;
    apply(schedule_.read_now());
  }
  /// What `got` was given has been taken in: the client has seen `seen`, the job stands at `last`.
  void seen(int seen, int last) {
    Retry::unlink();  // this was it
    apply(schedule_.read_done(seen, last));
  }
  /// Forgets what was seen and reads anew.
  void restart() {
    Retry::unlink();
    read_.unlink();
    schedule_ = ReadScheduler();
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
      services_.batcher.add(read_);
  }
  bool paused() const { return paused_; }

  /// No more reads, hints or calls.
  void leave() {
    Retry::unlink();
    if (listening())
      services_.hub.leave(*this);
    read_.unlink();
    wants_read_ = false;
  }

 private:
  void on_hint(int seq) noexcept override {
    read_.urgent = true;
    // mutant: no-read-before-start
    if (started_)
      apply(schedule_.hinted(seq));
  }
  unsigned on_update(const VerifiedUpdate &update) noexcept override {
    if (!started_)
      return 1;
    read_.urgent = true;
    bool ready = trusts_ && !paused_ && schedule_.may_take(update.last());
    const Row *row = ready ? read_.row_of(update) : nullptr;
    if (row != nullptr)
      on_read_(row);  // may destroy this
    else
      // mutant: early-proof-is-a-hint
      apply(schedule_.hinted(update.last()));
    return Read::kCost;
  }
  void on_history_changed() noexcept override {
    if (started_)
      restart();
  }
  void on_retry() noexcept override { apply(schedule_.read_now()); }

  void apply(ReadScheduler::Action action) {
    if (action.what == ReadScheduler::Action::retry)
      services_.retries.put(*this, action.delay_ms);
    else if (action.what == ReadScheduler::Action::read && paused_)
      wants_read_ = true;
    else if (action.what == ReadScheduler::Action::read)
      services_.batcher.add(read_);
  }

  void on_row(Result<const Row *> row) {
    if (!row)
      apply(schedule_.read_failed());
    on_read_(std::move(row));
  }

  ReadServices<Read> &services_;
  Callback<Result<const Row *>> on_read_;
  ReadScheduler schedule_;
  Read read_{Callback<Result<const Row *>>::template to<&Watcher::on_row>(this)};
  bool started_ = false;
  bool trusts_ = true;
  bool paused_ = false;
  bool wants_read_ = false;  // paused when it would have read
};

}  // namespace await::core
