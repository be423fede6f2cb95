#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pg/connection.h"
#include "pg/maintenance.h"
#include "pg/notify_bus.h"
#include "redis/bus.h"
#include "worker/note.h"

namespace await::worker {

/// A job as returned by await.claim.
struct ClaimedJob {
  Uuid id;
  std::string receipt;  ///< proves the claim; required by all later calls
  int attempt = 0;
  std::string queue;
  std::optional<std::string> payload;  ///< empty if larger than 64 KB: read it with Client::payload
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

/// The state of a lease as returned by a heartbeat.
enum class Lease { held, cancelled, lost };

/// The functions of sql/functions/worker (docs/workers.md), for use in this process. There is one connection;
/// replies arrive in the order of the calls, from the event loop. A callback must check itself whether its
/// owner still exists. A hint is published after each change. Results completed in one iteration of the loop,
/// or while earlier ones were stored, are stored in one transaction, and their hints are read in one.
class Client : private pg::Connection::Observer {
 public:
  template <class T>
  using Then = std::function<void(Result<T>)>;

  Client(io::Loop &loop, io::Log &log, io::Random &random, std::string conninfo,
         const std::vector<redis::Address> &redis);

  void start();
  /// Publishes hints without job data, for a Redis server that others can read.
  void thin_hints() { thin_hints_ = true; }
  bool connected() const { return pg_.ready(); }
  redis::Bus &bus() { return bus_; }
  pg::NotifyBus &notify_bus() { return notify_bus_; }
  /// Whether nothing remains to be sent or answered.
  bool idle() const {
    return !connected() || (completions_.empty() && hints_.empty() && pg_.in_flight() == 0);
  }

  void claim(const std::vector<std::string> &queues, const std::string &worker, int n,
             std::optional<std::int64_t> lease_ms, Then<std::vector<ClaimedJob>> then);
  /// @param progress  JSON text
  void heartbeat(const ClaimedJob &job, const std::optional<std::string> &progress, Then<Lease> then);
  /// Renews the leases of all these jobs by one statement. The states are found by receipt.
  void heartbeats(const std::vector<const ClaimedJob *> &jobs, Then<std::map<std::string, Lease>> then);
  /// Adds events, all or none. @return false if the lease is lost
  void emit(const ClaimedJob &job, const std::vector<const Note *> &events, Then<bool> then);
  /// @return empty if the lease is lost
  void payload(const ClaimedJob &job, std::int64_t offset, int length, Then<std::optional<std::string>> then);
  void append_result(const ClaimedJob &job, int n, const std::string &bytes, Then<bool> then);
  /// @param body  empty: the chunks stored by append_result
  void complete(const ClaimedJob &job, const std::optional<std::string> &body,
                const std::string &content_type, int status, const std::optional<std::string> &file_name,
                Then<bool> then);
  /// @param retry_in_ms  empty: retry with the backoff of the queue; negative: do not retry
  void fail(const ClaimedJob &job, const std::string &error, std::optional<std::int64_t> retry_in_ms,
            Then<bool> then);
  /// Gives the job back without using up the attempt; it can be claimed after the delay. Of a job that has
  /// ended, removes the lease.
  void release(const ClaimedJob &job, std::int64_t delay_ms = 0);
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

  void connected(pg::Connection &connection) override {
    connection.accept();
    notify_bus_.on_connection();
  }
  void on_notification(pg::Connection &, std::string_view channel, std::string_view message) override {
    notify_bus_.on_notification(channel, message);
  }
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
  pg::Maintenance maintenance_{pg_};
  redis::Bus bus_;
  pg::NotifyBus notify_bus_;
  std::vector<Completion> completions_;
  int completing_ = 0;  // transactions that store results
  std::vector<Uuid> hints_;
  FlushTask flush_task_{*this};
  bool thin_hints_ = false;
};

}  // namespace await::worker
