#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "io/random.h"
#include "worker/client.h"
#include "worker/note.h"
#include "worker/patience.h"

namespace await::worker {

/// The events and the progress of one job on their way from descriptor 3 to PostgreSQL. They are stored in
/// their order, one statement at a time, which is repeated until it is acknowledged. An event without an id
/// gets one, so that a repeat changes nothing. Of several progress notes in a row that wait, the last one is
/// stored.
class Notes {
 public:
  class Observer {
   public:
    /// Notes were acknowledged or refused: full() and empty() may have changed.
    virtual void notes_moved() = 0;
    /// This claim no longer holds the job.
    virtual void notes_lost() = 0;
    /// They could not be stored for the time of the lease.
    virtual void notes_undeliverable(const std::string &why) = 0;

   protected:
    ~Observer() = default;
  };

  /// @param name  of the job, for the log
  Notes(io::Loop &loop, io::Log &log, io::Random &random, Client &client, const ClaimedJob &job,
        std::string name, Observer &observer);
  ~Notes();

  /// Bytes that the command has written.
  void add(std::string_view bytes);
  /// The command writes no more: a last line may be without a line feed.
  void close();
  /// Nothing more is stored.
  void stop();
  /// Whether so much waits that the command has to wait.
  bool full() const { return waiting_.size() >= kMaxWaiting || size_ >= kMaxSize; }
  bool empty() const { return waiting_.empty(); }

 private:
  static constexpr std::size_t kMaxWaiting = 256;
  static constexpr std::size_t kMaxSize = 256 * 1024;
  static constexpr std::size_t kBatch = 100;             // events in a statement
  static constexpr std::size_t kBatchSize = 128 * 1024;  // of their data
  static constexpr std::size_t kMaxLine = 320 * 1024;    // 48 KB of data, each character escaped
  static constexpr std::int64_t kTellMs = 10'000;

  /// Something of which there may be many: told at once, and then every ten seconds with its number.
  struct Tally {
    const char *what;
    std::int64_t untold = 0;
    std::int64_t told_at = -kTellMs;
    std::string last;  // the reason
  };

  void line(std::string_view line);
  void send();
  std::size_t batch_size() const;
  void send_progress();
  void send_events(std::size_t n);
  void answered(const Result<bool> &stored, std::size_t n);
  void retry(const Error &error);
  void drop_front(std::size_t n);
  void count(Tally &tally, const std::string &why);
  void tell(Tally &tally);
  void on_tell_timer();

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  Client &client_;
  const ClaimedJob &job_;
  std::string name_;
  Observer &observer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::string id_prefix_;
  std::int64_t next_id_ = 1;
  std::string rest_;       // of a line
  bool skipping_ = false;  // the rest of a line that is too long
  std::deque<Note> waiting_;
  std::size_t size_ = 0;
  std::size_t in_flight_ = 0;  // at the front of waiting_
  std::size_t alone_ = 0;      // to be sent one by one, because one of them was refused
  Patience patience_;
  Tally junk_{"lines on descriptor 3 that are not JSON objects"};
  Tally refused_{"events or progress that PostgreSQL refused"};
  std::unique_ptr<io::Timer> retry_timer_;
  std::unique_ptr<io::Timer> tell_timer_;
};

}  // namespace await::worker
