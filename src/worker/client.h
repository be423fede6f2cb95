#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pg/connection.h"
#include "redis/bus.h"

namespace await::worker {

/// A job as await.claim gives it.
struct ClaimedJob {
  Uuid id;
  std::string receipt;  ///< proves the claim to every later call
  int attempt = 0;
  std::string queue;
  std::optional<std::string> payload;  ///< nothing: larger than 64 KB, read it by Client::payload
  std::string content_type;
  std::optional<std::string> file_name;
  std::optional<std::string> params;
  std::optional<std::string> batch;
  std::optional<std::string> phase;
  std::optional<std::string> trace;
  std::int64_t payload_size = 0;
  std::optional<std::string> correlation_id;
  std::int64_t lease_ms = 0;
};

/// What a worker takes as its due.
enum class Lease { held, cancelled, lost };

/// The worker's functions of sql/functions/worker, for workers in process. One connection, replies in the
/// order of the calls, from the event loop, so callbacks must know whether their owner still lives. After
/// each change a hint is published. Results that are complete within one round of the loop are stored in one
/// transaction, and so are the hints of a round read in one.
class Client {
 public:
  template <class T>
  using Then = std::function<void(Result<T>)>;

  Client(io::Loop &loop, io::Log &log, io::Random &random, std::string conninfo,
         const std::vector<redis::Address> &redis);

  void start();
  /// Publish that something has happened, not what: for a Redis that others can listen to.
  void thin_hints() { thin_hints_ = true; }
  bool connected() const { return pg_.ready(); }
  redis::Bus &bus() { return bus_; }
  /// Nothing is to be sent or answered.
  bool idle() const {
    return !connected() || (completions_.empty() && hints_.empty() && pg_.in_flight() == 0);
  }

  void claim(const std::vector<std::string> &queues, const std::string &worker, int n,
             std::optional<std::int64_t> lease_ms, Then<std::vector<ClaimedJob>> then);
  /// @param progress  JSON text
  void heartbeat(const ClaimedJob &job, const std::optional<std::string> &progress, Then<Lease> then);
  /// @return false: another's by now
  void emit(const ClaimedJob &job, const std::string &type, const std::optional<std::string> &data,
            const std::optional<std::string> &event_id, Then<bool> then);
  /// @return nothing: another's by now
  void payload(const ClaimedJob &job, std::int64_t offset, int length, Then<std::optional<std::string>> then);
  void append_result(const ClaimedJob &job, int n, const std::string &bytes, Then<bool> then);
  /// @param body  nothing: what append_result stored
  void complete(const ClaimedJob &job, const std::optional<std::string> &body,
                const std::string &content_type, int status, const std::optional<std::string> &file_name,
                Then<bool> then);
  /// @param retry_in_ms  nothing: by the queue's back-off; negative: not again
  void fail(const ClaimedJob &job, const std::string &error, std::optional<std::int64_t> retry_in_ms,
            Then<bool> then);
  void tick();
  void purge();

 private:
  static constexpr std::size_t kInline = 65536;  // larger bodies are stored one by one
  static constexpr std::size_t kBatch = 500;

  struct Completion {
    ClaimedJob job;
    std::string body;
    std::string content_type;
    int status;
    std::optional<std::string> file_name;
    Then<bool> then;
  };
  class FlushTask : public io::Task {
   public:
    explicit FlushTask(Client &client) : client_(client) {}
    void run() noexcept override { client_.flush(); }

   private:
    Client &client_;
  };

  void hint(const Uuid &id);
  void flush();
  void complete_all(std::vector<Completion> batch);
  void complete_one(const ClaimedJob &job, const std::optional<std::string> &body,
                    const std::string &content_type, int status, const std::optional<std::string> &file_name,
                    Then<bool> then);
  template <class T, class Decode>
  void call(const char *sql, pg::Params params, Then<T> then, Decode decode);
  void change(const char *sql, pg::Params params, const Uuid &id, Then<bool> then);

  io::Loop &loop_;
  pg::Connection pg_;
  redis::Bus bus_;
  std::vector<Completion> completions_;
  std::vector<Uuid> hints_;
  FlushTask flush_task_{*this};
  bool thin_hints_ = false;
};

}  // namespace await::worker
