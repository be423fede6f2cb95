#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/log.h"
#include "io/random.h"
#include "worker/client.h"
#include "worker/patience.h"

namespace await::worker {

/// Does one job: its payload is read in pieces, its result is stored in pieces, and its outcome is reported
/// when all of that is stored. Each statement is repeated while that can help. What does the work is in the
/// derived classes.
class Task {
 public:
  /// What a task works with.
  struct Context {
    io::Loop &loop;
    io::Log &log;
    io::Random &random;
    Client &client;
  };

  /// @param done  called exactly once; must not destroy the task before it has returned to the event loop
  Task(const Context &context, ClaimedJob job, std::function<void()> done);
  Task(const Task &) = delete;
  Task &operator=(const Task &) = delete;
  virtual ~Task() = default;

  virtual void start() = 0;
  const ClaimedJob &job() const { return job_; }
  /// Whether the lease has to be renewed.
  bool holds() const { return mine_; }
  /// A heartbeat was answered.
  void leased(Lease lease);
  /// Stops the work and gives the job back.
  virtual void abandon();

 protected:
  static constexpr std::size_t kInline = 64 * 1024;
  static constexpr std::size_t kPiece = 256 * 1024;

  /// Asks for the payload from `payload_at_` on, if it is not being read already. take_payload() gets it.
  void read_payload();
  virtual void take_payload(std::string piece) = 0;
  bool reading_payload() const { return reading_payload_ || payload_timer_->pending(); }

  /// Goes on with what is to be stored, in this order: the pieces of the result, then the outcome.
  void advance();
  bool piece_is_full() const { return out_.size() >= kPiece; }
  /// The work is over, and success() is known.
  bool ended_ = false;
  virtual bool success() const = 0;
  /// More of the result can be taken: the work has not ended.
  virtual void on_room() = 0;
  /// Whether nothing else has to be stored before the outcome.
  virtual bool settled() const { return true; }
  /// To be answered by complete() or fail().
  virtual void report() = 0;
  /// Instead of report(), if PostgreSQL has refused that.
  virtual void report_refused() = 0;
  void complete(const std::string &content_type, int status, const std::optional<std::string> &file_name);
  void fail(const std::string &error, std::optional<std::int64_t> retry_in_ms);

  /// Ends the work before its time; calls over() then or later.
  virtual void stop(const std::string &why) = 0;
  /// No timer may fire any more, and nothing may be stored.
  virtual void quiet() {}
  void over();
  void ask_why();
  void give_up(const std::string &what, const Error &error);
  /// Gives the job back, after this time, without using up the attempt.
  void give_back(std::int64_t delay_ms);

  bool alive() const { return alive_ != nullptr; }
  std::string name() const { return job_.id.text() + " attempt " + std::to_string(job_.attempt); }
  /// Wraps a callback so that it does nothing after this was destroyed.
  template <class F>
  auto safely(F call) {
    return [alive = std::weak_ptr<bool>(alive_), call = std::move(call)](auto &&outcome) {
      if (alive.lock())
        call(std::forward<decltype(outcome)>(outcome));
    };
  }

  io::Loop &loop_;
  io::Log &log_;
  io::Random &random_;
  Client &client_;
  ClaimedJob job_;
  std::string out_;  // of the result, not stored yet
  std::int64_t payload_at_ = 0;
  bool mine_ = true;  // the lease is held, as far as is known

 private:
  void on_payload(const Result<std::optional<std::string>> &piece);
  void store_piece();
  void on_stored(const Result<bool> &stored, const std::string &piece);
  void reported(const Result<bool> &outcome);

  std::function<void()> done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<io::Timer> payload_timer_;
  std::unique_ptr<io::Timer> report_timer_;
  Patience payload_patience_;
  Patience report_patience_;
  bool reading_payload_ = false;
  int pieces_ = 0;
  bool storing_ = false;
  bool releasing_ = false;
  std::int64_t release_delay_ms_ = 0;
  bool reporting_ = false;
  bool refused_ = false;  // PostgreSQL did not take the outcome
};

}  // namespace await::worker
