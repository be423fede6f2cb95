#include "contract/backend.h"
#include "sim/database.h"
#include "sim/store.h"
#include "sim/world.h"

namespace await::contract {
namespace {

class SimulatedTransaction : public Transaction {
 public:
  SimulatedTransaction(sim::World &world, sim::Database &database)
      : world_(world), database_(database), xid_(database.begin()) {}
  ~SimulatedTransaction() override { database_.abort(xid_); }
  void claim(const core::NewJob &job) override { append(job, core::State::processing); }
  void emit(const core::NewJob &job) override { append(job, core::State::processing); }
  void complete(const core::NewJob &job) override { append(job, core::State::completed); }
  void revoke(const std::string &owner) override {
    database_.revoke(xid_, *Uuid::parse(owner), sim::Weather().database_ms(world_.now()));
  }
  void commit() override { database_.commit(xid_); }

 private:
  void append(const core::NewJob &job, core::State state) { database_.append(xid_, job.id, state); }

  sim::World &world_;
  sim::Database &database_;
  std::uint64_t xid_;
};

/// The store of t/sim, without faults.
class Simulated : public Backend {
 public:
  core::Store &store() override { return store_; }
  core::AccessStore &access() override { return store_; }
  core::Batches &batches() override { return store_; }
  std::unique_ptr<Transaction> begin() override {
    return std::make_unique<SimulatedTransaction>(world_, database_);
  }
  bool run_until(const std::function<bool()> &done) override {
    std::int64_t end = world_.now() + 10'000;
    while (!done() && world_.now() < end && world_.step()) {
    }
    return done();
  }
  std::int64_t now_ms() override { return weather_.database_ms(world_.now()); }
  core::NewJob new_job() override {
    core::NewJob job;
    newest_ms_ = std::max(now_ms(), newest_ms_ + 4);  // so that their ids have their order
    job.id = Uuid::v7(newest_ms_, 1, world_.ten());
    job.queue = "q";
    job.owner = sim::user_of(job.id).text();
    return job;
  }
  core::NewJob new_job_like(const core::NewJob &other) override {
    core::NewJob job = new_job();
    while (job.owner != other.owner)
      job = new_job();
    return job;
  }
  bool can_own(const std::string &owner, const core::NewJob &job) override { return job.owner == owner; }
  void make_invalid(core::NewJob &job) override { job.params = "poison"; }
  core::EventQuery user_query(const core::NewJob &job, core::SnapshotCursor since) override {
    since.owner = *job.owner;
    return {sim::user_of(job.id), 0, std::move(since)};
  }
  std::size_t page_size() override { return sim::Database::kPage; }
  std::size_t user_page_size() override { return sim::Database::kUserPage; }

 private:
  std::int64_t newest_ms_ = 0;
  sim::World world_{1};
  sim::Weather weather_;
  sim::Database database_{[this] { return world_.now(); }};
  sim::Store store_{world_, weather_, database_, [] {}};
};

}  // namespace

std::unique_ptr<Backend> make_simulated() { return std::make_unique<Simulated>(); }

}  // namespace await::contract
