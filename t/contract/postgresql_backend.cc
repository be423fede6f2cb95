#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>

#include "contract/backend.h"
#include "io/poll_loop.h"
#include "io/random.h"
#include "pg/batch_store.h"
#include "pg/connection.h"
#include "pg/job_store.h"

namespace await::contract {
namespace {

std::string conninfo() {
  const char *value = std::getenv("AWAIT_POSTGRES");
  return value != nullptr ? value : "";
}

/// A connection of a worker.
class Session : public Transaction {
 public:
  Session() : pg_(PQconnectdb(conninfo().c_str()), PQfinish) { run("BEGIN"); }
  void claim(const core::NewJob &job) override {
    run("SELECT await.claim(ARRAY['" + job.queue + "'], 'w', 1)");
  }
  void emit(const core::NewJob &job) override {
    run("SELECT await.emit('" + job.id.text() + "', " + receipt_of(job) + ", 'n', 'null')");
  }
  void complete(const core::NewJob &job) override {
    run("SELECT await.complete('" + job.id.text() + "', " + receipt_of(job) +
        ", '\\x78', 'text/plain', 200, 'n')");
  }
  void revoke(const std::string &owner) override { run("SELECT await.revoke('" + owner + "')"); }
  void commit() override { run("COMMIT"); }

 private:
  static std::string receipt_of(const core::NewJob &job) {
    return "(SELECT receipt FROM await.lease WHERE job = '" + job.id.text() + "')";
  }
  void run(const std::string &sql) {
    std::unique_ptr<PGresult, void (*)(PGresult *)> result(PQexec(pg_.get(), sql.c_str()), PQclear);
    ASSERT_TRUE(PQresultStatus(result.get()) == PGRES_TUPLES_OK ||
                PQresultStatus(result.get()) == PGRES_COMMAND_OK)
        << PQerrorMessage(pg_.get());
  }
  std::unique_ptr<PGconn, void (*)(PGconn *)> pg_;
};

class PostgreSQL : public Backend {
 public:
  PostgreSQL() {
    write_.start();
    read_.start();
    bulk_.start();
    EXPECT_TRUE(run_until([this] { return write_.ready() && read_.ready() && bulk_.ready(); }))
        << "AWAIT_POSTGRES, which make contract sets: " << conninfo();
  }
  core::Store &store() override { return store_; }
  core::AccessStore &access() override { return store_; }
  core::Batches &batches() override { return batches_; }
  std::unique_ptr<Transaction> begin() override { return std::make_unique<Session>(); }
  bool run_until(const std::function<bool()> &done) override { return loop_.run_until(done, 10'000); }
  std::int64_t now_ms() override { return loop_.unix_ms(); }
  core::NewJob new_job() override {
    core::NewJob job;
    // the ids of jobs that are made within 4 ms have no order among each other, and lists ask for one
    newest_ms_ = std::max(loop_.unix_ms(), newest_ms_ + 4);
    job.id = Uuid::v7(newest_ms_, 1, random_.ten());
    job.queue = "contract-" + job.id.text();
    job.owner = "owner of " + job.id.text();
    job.content_type = "text/plain";
    job.payload = "hello";
    job.payload_size = 5;
    return job;
  }
  core::NewJob new_job_like(const core::NewJob &other) override {
    core::NewJob job = new_job();
    job.queue = other.queue;
    job.owner = other.owner;
    return job;
  }
  bool can_own(const std::string &, const core::NewJob &) override { return true; }
  void make_invalid(core::NewJob &job) override { job.params = "{broken"; }
  core::EventQuery user_query(const core::NewJob &job, core::SnapshotCursor since) override {
    since.owner = *job.owner;
    return {Uuid(), 0, std::move(since)};
  }
  std::size_t page_size() override { return 100; }
  std::size_t user_page_size() override { return 500; }

 private:
  struct Quiet : io::Log {
    void info(std::string_view) override {}
    void error(std::string_view) override {}
  };
  std::int64_t newest_ms_ = 0;
  io::PollLoop loop_;
  Quiet log_;
  io::Random random_;
  pg::Connection write_{loop_, log_, random_, {conninfo(), "write"}};
  pg::Connection read_{loop_, log_, random_, {conninfo(), "read"}};
  pg::Connection bulk_{loop_, log_, random_, {conninfo(), "bulk"}};
  pg::JobStore store_{write_, read_, 16384};
  pg::BatchStore batches_{write_, read_, bulk_, 16384};
};

}  // namespace

std::unique_ptr<Backend> make_postgresql() { return std::make_unique<PostgreSQL>(); }

}  // namespace await::contract
