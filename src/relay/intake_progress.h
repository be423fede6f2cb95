#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "relay/cursors.h"

namespace await::relay {

/// Stores what a source of jobs has done, beside the cursors of the sinks, for await.relay_status(): jobs,
/// dead letters, and how far it is behind. The cursor "kafka:BEHIND:TIME" is for that only; where the source
/// goes on, the consumer group knows.
class IntakeProgress {
 public:
  class Source {
   public:
    /// Messages that it has before it.
    virtual std::int64_t behind() const = 0;
    /// Why it makes no jobs at present; empty: it does.
    virtual std::string trouble() const = 0;

   protected:
    ~Source() = default;
  };

  /// @param name  without the prefix "from:"
  IntakeProgress(io::Loop &loop, Cursors &cursors, const std::string &name, const Source &source);

  /// Under which name its progress is stored.
  static std::string cursor_name(const std::string &name) { return "from:" + name; }

  void lead(bool leads);
  /// These messages are jobs, the last of them of this time (Unix milliseconds; -1: it is not known).
  void on_jobs(std::size_t count, std::int64_t at_ms);
  void on_dead_letter() { ++progress_.failures; }
  /// Nothing is on its way to the database.
  bool idle() const { return !stored_reply_.waiting(); }

 private:
  static constexpr std::int64_t kStoreMs = 1'000;
  static constexpr std::int64_t kIdleStoreMs = 10'000;

  void on_timer();
  void on_opened(Result<std::vector<StoredCursor>> cursors);
  void store();
  void on_stored(Result<Advanced> outcome);

  io::Loop &loop_;
  Cursors &cursors_;
  const std::string name_;
  const Source &source_;
  bool leads_ = false;
  std::int64_t no_ = 0;  // of the stored row; 0: it is not known
  std::int64_t at_ms_ = -1;
  std::int64_t stored_ms_ = 0;
  Progress progress_;  // that is not stored
  Progress storing_;
  std::string last_;  // the cursor that is stored
  core::Reply<std::vector<StoredCursor>> open_reply_ =
      core::Reply<std::vector<StoredCursor>>::to<&IntakeProgress::on_opened>(this);
  core::Reply<Advanced> stored_reply_ = core::Reply<Advanced>::to<&IntakeProgress::on_stored>(this);
  std::unique_ptr<io::Timer> timer_;
};

}  // namespace await::relay
