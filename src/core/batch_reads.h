#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/batch_news.h"
#include "core/ports.h"

namespace await::core {

/// A read of a batch's document. `on_document` gets it, or null if there is no such batch; the pointer is
/// valid during the call only. The callback may destroy the read. Destroying the read cancels it.
class BatchRead : public Hook<> {
 public:
  explicit BatchRead(Callback<Result<const BatchDocument *>> callback) : on_document(callback) {}
  BatchQuery query;
  BatchCache *cache = nullptr;  ///< filled after the read; may be null
  bool from_cache = true;    ///< in: whether it is searched before; out: whether the document is from there
  std::int64_t open_ms = 0;  ///< how old the document may be while the batch has not ended
  int least_seq = 0;         ///< what is in the cache must have this event
  Callback<Result<const BatchDocument *>> on_document;
};

/// Reads documents of batches: of those that want the same one, all share a statement. A read never joins a
/// statement that was sent before it, so its document is not older than the read; those that come meanwhile
/// share the next one.
class BatchReads {
 public:
  BatchReads(Batches &batches, Scheduler &scheduler, BatchNews &news)
      : batches_(batches), scheduler_(scheduler), news_(news) {}

  /// Adds a read. Calls back later, once, unless the read is destroyed or unlinked.
  void add(BatchRead &read) {
    fresh_.push_back(read);
    scheduler_.run_soon();
  }
  /// Called when the Scheduler runs. Sends statements, and delivers documents within a budget.
  void run(std::int64_t now_ms);
  /// After a failover: documents that were read before it are read again.
  void on_history_changed();

 private:
  using Key = std::pair<BatchQuery, BatchCache *>;
  /// A statement that was sent, or whose document is being delivered.
  struct Flight {
    Flight(BatchReads &owner, Key key, BatchReadStart start) : owner(owner), key(key), start(start) {}
    void on_batch(Result<std::optional<Batch>> row) { batch = std::move(row); }
    void on_jobs(Result<std::vector<Job>> page);
    BatchReads &owner;
    Key key;
    BatchReadStart start;
    std::int64_t open_ms = 0;  // the longest of its reads
    List<BatchRead> reads;
    List<BatchRead> next;  // added since it was sent
    Result<std::optional<Batch>> batch = Error{Code::internal, "the batch was not read"};
    std::optional<Result<std::optional<BatchDocument>>> outcome;
    Reply<std::optional<Batch>> batch_reply = Reply<std::optional<Batch>>::to<&Flight::on_batch>(this);
    Reply<std::vector<Job>> jobs_reply = Reply<std::vector<Job>>::to<&Flight::on_jobs>(this);
  };

  static constexpr unsigned kBudget = 512;  // in one iteration, as of Hub
  static constexpr unsigned kCost = 16;     // of a callback, which writes a page of documents
  static constexpr std::size_t kMostFlights = 32;

  void sort_fresh();
  void send(BatchRead &first, std::int64_t now_ms);
  bool deliver(Flight &flight, unsigned &budget);

  Batches &batches_;
  Scheduler &scheduler_;
  BatchNews &news_;
  List<BatchRead> fresh_;    // added since the last run
  List<BatchRead> waiting_;  // for a flight
  std::map<Key, std::unique_ptr<Flight>> flights_;
};

}  // namespace await::core
