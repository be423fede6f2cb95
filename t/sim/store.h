#pragma once

#include <list>
#include <memory>

#include "core/ports.h"
#include "sim/database.h"
#include "sim/world.h"

namespace await::sim {

/// What the way to the database is like just now; the same for all nodes.
struct Weather {
  std::int64_t latency_ms = 1;  ///< at most, each way
  double failing = 0;           ///< of reads, by an error of their own
  double cancelling = 0;        ///< of all statements: they change nothing
  bool stalled = false;         ///< PostgreSQL is there and does nothing
  bool away = false;
  bool pooled = false;        ///< one statement of a connection at a time
  std::int64_t clock_ms = 0;  ///< by which the clock of PostgreSQL is ahead
  double hints_lost = 0;
  double hints_doubled = 0;
  std::int64_t hints_late_ms = 1;  ///< at most; so they overtake one another
  bool bus_away = false;
  std::int64_t trouble_until = 0;  ///< when it was last not fine
  std::int64_t database_ms(std::int64_t now) const { return 1'800'000'000'000 + now + clock_ms; }
};

/// One connection, as pg::Connection is: statements in order, answers in order; lost with everything
/// that is out, of which some has happened.
class Line {
 public:
  Line(World &world, Weather &weather, std::function<void()> connected)
      : world_(world), weather_(weather), connected_(std::move(connected)) {
    connect();
  }
  ~Line() { *alive_ = false; }

  bool ready() const { return up_; }
  std::uint64_t count() const { return count_; }
  void lose();
  /// The server behind a pooler has gone: the connection ends if a statement is in flight.
  void lose_busy() {
    if (!out_.empty())
      lose();
  }

  /// @param blocked  whether it has to wait for a lock, and all that was sent after it
  template <class T>
  void call(core::Reply<T> &reply, std::function<Result<T>()> execute, std::function<bool()> blocked = {}) {
    auto op = std::make_shared<Op<T>>();
    op->waiting.push_back(reply);
    op->execute = std::move(execute);
    op->blocked = std::move(blocked);
    start(op);
  }
  /// Without an answer: if it is lost, nobody learns of it.
  void send(std::function<void()> execute) {
    auto op = std::make_shared<Op<Done>>();
    op->execute = [execute = std::move(execute)]() -> Result<Done> {
      execute();
      return Done{};
    };
    start(op);
  }

 private:
  static constexpr std::int64_t kTimeoutMs = 10'000;
  static constexpr std::int64_t kConnectMs = 3'000;

  struct Any {
    virtual ~Any() = default;
    virtual void happen() = 0;
    virtual void answer() = 0;
    virtual void fail() = 0;
    std::function<bool()> blocked;
    bool happened = false;
    bool over = false;
  };
  template <class T>
  struct Op : Any {
    void happen() override { result.emplace(execute()); }
    void answer() override { deliver(std::move(*result)); }
    void fail() override { deliver(Error{Code::unavailable, "the line is lost"}); }
    void deliver(Result<T> outcome) {
      over = true;
      if (auto *reply = waiting.pop_front())
        reply->deliver(std::move(outcome));
    }
    List<core::Reply<T>> waiting;
    std::function<Result<T>()> execute;
    std::optional<Result<T>> result;
  };

  void connect();
  void start(std::shared_ptr<Any> op);
  void happen(std::shared_ptr<Any> op, std::uint64_t epoch);
  bool must_wait(const std::shared_ptr<Any> &op) const;

  World &world_;
  Weather &weather_;
  std::function<void()> connected_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool up_ = false;
  std::uint64_t epoch_ = 0;
  std::uint64_t count_ = 0;
  std::int64_t last_exec_ = 0;
  std::int64_t last_answer_ = 0;
  std::list<std::shared_ptr<Any>> out_;
  bool young_ = true;                       // connecting for the first time: what is sent waits
  std::list<std::shared_ptr<Any>> queued_;  // until then
};

/// The ports to the database over three lines: to write, to read, and for what is large.
class Store : public core::Store, public core::AccessStore, public core::Batches, public core::Payloads {
 public:
  Store(World &world, Weather &weather, Database &database, std::function<void()> connected)
      : world_(world),
        weather_(weather),
        database_(database),
        write(world, weather, [] {}),
        read(world, weather, std::move(connected)),
        bulk(world, weather, [] {}) {}

  void submit(std::span<const core::NewJob *const> jobs,
              core::Reply<std::vector<core::Submitted>> &reply) override;
  void jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<core::Job>> &reply) override;
  void events(std::span<const core::EventQuery> queries,
              core::Reply<std::vector<core::EventPage>> &reply) override;
  void lists(std::span<const core::ListQuery> queries,
             core::Reply<std::vector<core::JobPage>> &reply) override;
  void lists(std::span<const core::ListQuery> queries,
             core::Reply<std::vector<core::BatchPage>> &reply) override;
  void tail(std::string_view snapshot, core::Reply<core::Tail> &reply) override;
  void heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) override;
  void cancel(const Uuid &id, std::optional<int> seq, core::Reply<core::Cancelled> &reply) override;
  void retry(const Uuid &, const core::PendingLimits &, core::Reply<core::Retried> &) override {}
  void standing(const Uuid &, core::Reply<core::Standing> &) override {}
  void use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) override;
  void revocations(core::Reply<std::vector<core::Revoked>> &reply) override;
  void stage(const Uuid &batch, int first, std::span<const core::NewJob> jobs,
             core::Reply<Done> &reply) override;
  void submit(const core::NewBatch &batch, core::Reply<core::Submitted> &reply) override;
  void unstage(const Uuid &batch) override;
  void add(const Uuid &batch, const core::NewJob &job, core::Reply<core::Added> &reply) override;
  void batch(const Uuid &id, core::Reply<std::optional<core::Batch>> &reply) override;
  void jobs_of(const Uuid &batch, const Uuid &after, int limit,
               core::Reply<std::vector<core::Job>> &reply) override;
  void put(const Uuid &job, int n, std::int64_t pos, std::string_view bytes,
           core::Reply<Done> &reply) override;
  void get(const Uuid &, int, std::int64_t, core::Reply<core::Chunk> &) override {}  // nobody reads results
  void drop(const Uuid &job) override;
  /// The timeline.
  void hello(core::Reply<std::uint32_t> &reply);

  /// What a statement of the node has written beyond jobs that it submits: who hears of it is told.
  std::function<void(std::uint64_t)> on_write;

 private:
  void wrote(std::uint64_t xid);
  template <class T>
  void ask(core::Reply<T> &reply, std::function<T()> look, bool refused = false);

  World &world_;
  Weather &weather_;
  Database &database_;

 public:
  Line write;
  Line read;
  Line bulk;
};

}  // namespace await::sim
