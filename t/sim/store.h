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

  template <class T>
  void call(core::Reply<T> &reply, std::function<Result<T>()> execute) {
    auto op = std::make_shared<Op<T>>();
    op->waiting.push_back(reply);
    op->execute = std::move(execute);
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

/// core::Store over two lines, one to write and one to read.
class Store : public core::Store, public core::AccessStore {
 public:
  Store(World &world, Weather &weather, Database &database, std::function<void()> connected)
      : world_(world),
        weather_(weather),
        database_(database),
        write(world, weather, [] {}),
        read(world, weather, std::move(connected)) {}

  void submit(std::span<const core::NewJob *const> jobs,
              core::Reply<std::vector<core::Submitted>> &reply) override;
  void jobs(std::span<const core::JobQuery> queries, core::Reply<std::vector<core::Job>> &reply) override;
  void events(std::span<const core::EventQuery> queries,
              core::Reply<std::vector<core::EventPage>> &reply) override;
  void lists(std::span<const core::ListQuery> queries,
             core::Reply<std::vector<core::JobPage>> &reply) override;
  void lists(std::span<const core::ListQuery>, core::Reply<std::vector<core::BatchPage>> &) override {}
  void tail(std::string_view snapshot, core::Reply<core::Tail> &reply) override;
  void heads(std::span<const Uuid> ids, core::Reply<core::Tail> &reply) override;
  void cancel(const Uuid &, std::optional<int>, core::Reply<core::Cancelled> &) override {}
  void retry(const Uuid &, core::Reply<core::Retried> &) override {}
  void standing(const Uuid &, core::Reply<core::Standing> &) override {}
  void use(std::span<const core::TicketUse> tickets, core::Reply<std::vector<bool>> &reply) override;
  void revocations(core::Reply<std::vector<core::Revoked>> &reply) override;
  /// The timeline.
  void hello(core::Reply<std::uint32_t> &reply);

 private:
  template <class T>
  void ask(core::Reply<T> &reply, std::function<T()> look, bool refused = false);

  World &world_;
  Weather &weather_;
  Database &database_;

 public:
  Line write;
  Line read;
};

}  // namespace await::sim
