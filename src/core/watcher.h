#pragma once

#include "core/hub.h"
#include "core/read_batcher.h"
#include "core/read_scheduler.h"
#include "core/retry_queue.h"

namespace await::core {

/// What watchers of one kind of read use. Must outlive them.
template <class Read>
struct ReadServices {
  Hub &hub;
  RetryQueue &retries;
  ReadBatcher<Read> &batcher;
};

/// Watches one job for one client: registers with the hub first, reads second, and reads again whenever there
/// may be news. Each row, or error, goes to `on_read`, which may destroy this; after an error the read is
/// retried. Destroying it ends the watch.
template <class Read>
class Watcher : private Listener, private Retry {
 public:
  using Row = typename Read::Row;

  Watcher(ReadServices<Read> &services, Callback<Result<const Row *>> on_read)
      : services_(services), on_read_(on_read) {}

  ReadServices<Read> &services() const { return services_; }
  /// What is read. May be changed before look() and before seen().
  Read &read() { return read_; }
  const Read &read() const { return read_; }
  /// Receives hints of `job` from now on. They cause no read before the first look().
  // mutant: watcher-subscribes
  void listen(const Uuid &job) { services_.hub.listen(job, *this); }
  /// Reads. Does not call back before it has returned.
  void look() {
    started_ = true;
    read_.urgent = false;
    apply(schedule_.read_now());
  }
  /// Call after each row, when it was processed: the client has seen `seen`, and the newest event is `last`.
  void seen(int seen, int last) {
    Retry::unlink();  // this was the retry
    apply(schedule_.on_read(seen, last));
  }
  /// Forgets what was seen and reads from the start.
  void restart() {
    Retry::unlink();
    read_.unlink();
    schedule_ = ReadScheduler();
    look();
  }

  /// Whether signed hints are used instead of a read (the default), or only cause one.
  void trust(bool signed_hints) { trusts_ = signed_hints; }

  /// The client is slow: no more reads until resume(), so that no events accumulate in memory.
  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    // mutant: resume-reads
    if (std::exchange(wants_read_, false))
      services_.batcher.add(read_);
  }
  bool paused() const { return paused_; }

  /// Ends the watch: no more reads, hints or callbacks.
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
      apply(schedule_.on_hint(seq));
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
      apply(schedule_.on_hint(update.last()));
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
      apply(schedule_.on_read_error());
    on_read_(std::move(row));
  }

  ReadServices<Read> &services_;
  Callback<Result<const Row *>> on_read_;
  ReadScheduler schedule_;
  Read read_{Callback<Result<const Row *>>::template to<&Watcher::on_row>(this)};
  bool started_ = false;
  bool trusts_ = true;
  bool paused_ = false;
  bool wants_read_ = false;  // a read was due while paused
};

}  // namespace await::core
