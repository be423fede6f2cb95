#pragma once

#include <memory>
#include <optional>
#include <string>

#include "curl/exchange.h"
#include "wire/replay.h"
#include "worker/backend.h"
#include "worker/task.h"

namespace await::worker {

/// Plays a job to a back end: sends the request that its params describe, with the payload as the body, and
/// stores the answer as the result. What each answer means is in docs/await-worker.md.
class HttpTask : public Task, private curl::Listener {
 public:
  HttpTask(const Context &context, Backend &backend, ClaimedJob job, std::function<void()> done);

  void start() override;

 private:
  /// What becomes of the job.
  enum class Outcome { result, retry, final };

  void on_head(curl::Head head) override;
  bool on_piece(std::string_view piece) override;
  std::size_t on_room(std::int64_t offset, std::span<char> room) override;
  void on_end(const curl::Ending &ending) override;

  void take_payload(std::string piece) override;
  void on_room() override;
  bool success() const override { return outcome_ == Outcome::result; }
  void report() override;
  void report_refused() override;
  void stop(const std::string &why) override;
  void quiet() override { exchange_.reset(); }

  curl::Request request() const;
  void end_as(Outcome outcome, const std::string &title, const std::string &detail);
  std::string problem() const;
  std::string address() const { return replay_.method + " " + url_->origin; }

  Backend &backend_;
  wire::Replay replay_;
  const wire::BackendUrl *url_ = nullptr;
  std::unique_ptr<curl::Exchange> exchange_;
  curl::Head head_;
  std::string piece_;           // of the payload, being sent
  std::int64_t piece_at_ = 0;   // its offset
  std::int64_t wanted_at_ = 0;  // the offset that was asked for last
  Outcome outcome_ = Outcome::retry;
  std::string title_;
  std::string detail_;
  std::string error_body_;
  std::optional<std::int64_t> retry_ms_;
};

}  // namespace await::worker
