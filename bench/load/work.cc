// work: submit, claim and complete in batches, as many workers as asked for, for some seconds; paced if
// --rate.
// --conninfo --workers --batch --seconds --rate jobs/s (0: as fast as can be) --mode await|naive|submit
// submit: nothing but the first of the three. naive: UPDATE … FOR UPDATE SKIP LOCKED on one table, as many
// write it.

#include <libpq-fe.h>

#include <atomic>
#include <memory>
#include <thread>

#include "load/net.h"

namespace load {
namespace {

using Pg = std::unique_ptr<PGconn, void (*)(PGconn *)>;
using Rows = std::unique_ptr<PGresult, void (*)(PGresult *)>;

Rows run(PGconn *pg, const char *name, const std::vector<std::string> &parameters) {
  std::vector<const char *> values;
  for (const std::string &parameter : parameters)
    values.push_back(parameter.c_str());
  Rows rows(PQexecPrepared(pg, name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0),
            PQclear);
  if (PQresultStatus(rows.get()) != PGRES_TUPLES_OK && PQresultStatus(rows.get()) != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(pg));
  return rows;
}

void prepare(PGconn *pg, const char *name, const char *sql) {
  Rows rows(PQprepare(pg, name, sql, 0, nullptr), PQclear);
  if (PQresultStatus(rows.get()) != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(pg));
}

std::string column(const Rows &rows, int which) {
  std::string out = "{";
  for (int row = 0; row < PQntuples(rows.get()); ++row)
    out += (row > 0 ? "," : "") + std::string(PQgetvalue(rows.get(), row, which));
  return out + "}";
}

struct Worker {
  Latencies claims;
  long submitted = 0, claimed = 0, completed = 0, refused = 0;
  std::string error;
};

struct Plan {
  std::string conninfo;
  int batch;
  double seconds;
  double rate;  // of this worker
  bool naive;
  bool submit_only;
};

void turn(PGconn *pg, const Plan &plan, Worker &worker) {
  std::string n = std::to_string(plan.batch);
  run(pg, "submit", {n});
  worker.submitted += plan.batch;
  if (plan.submit_only)
    return;
  double began = now();
  Rows jobs = run(pg, "claim", {n});
  if (worker.submitted > plan.batch)  // a session's first call makes its plans
    worker.claims.add(now() - began);
  int got = PQntuples(jobs.get());
  worker.claimed += got;
  if (got == 0)
    return;
  Rows done = plan.naive ? run(pg, "complete", {column(jobs, 0)})
                         : run(pg, "complete", {column(jobs, 0), column(jobs, 1)});
  long good = std::atol(PQgetvalue(done.get(), 0, 0));
  worker.completed += good;
  worker.refused += got - good;
}

void work_on(const Plan &plan, Worker &worker) {
  try {
    Pg pg(PQconnectdb(plan.conninfo.c_str()), PQfinish);
    if (PQstatus(pg.get()) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(pg.get()));
    if (plan.naive) {
      prepare(pg.get(), "submit",
              "INSERT INTO naive (payload) SELECT repeat('x', 200)::bytea FROM generate_series(1, $1::int)");
      prepare(pg.get(), "claim",
              "UPDATE naive SET state = 'processing' WHERE id IN (SELECT id FROM naive WHERE state = "
              "'pending' ORDER BY "
              "id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id");
      prepare(
          pg.get(), "complete",
          "WITH d AS (UPDATE naive SET state = 'completed' WHERE id = ANY ($1::bigint[]) RETURNING 1) SELECT "
          "count(*) FROM d");
    } else {
      prepare(pg.get(), "submit",
              "SELECT count(*) FROM await.edge_submit(ARRAY(SELECT await.new_id(1::int2) FROM "
              "generate_series(1, $1::int)), "
              "array_fill('bench'::text, ARRAY[$1]), array_fill(0::int2, ARRAY[$1]), array_fill(null::text, "
              "ARRAY[$1]), "
              "array_fill(null::text, ARRAY[$1]), array_fill(null::text, ARRAY[$1]), "
              "array_fill('application/json'::text, ARRAY[$1]), array_fill(null::text, ARRAY[$1]), "
              "array_fill(null::text, ARRAY[$1]), array_fill(repeat('x', 200)::bytea, ARRAY[$1]), "
              "array_fill(200::int8, ARRAY[$1]), array_fill(null::int8, ARRAY[$1]), array_fill(null::int2, "
              "ARRAY[$1]), "
              "array_fill(null::int8, ARRAY[$1]), array_fill(null::int8, ARRAY[$1]))");
      prepare(pg.get(), "claim", "SELECT id, receipt FROM await.claim(ARRAY['bench'], 'bench', $1::int)");
      prepare(pg.get(), "complete",
              "SELECT count(*) FILTER (WHERE done) FROM await.complete_many($1::uuid[], $2::text[], "
              "array_fill('{\"n\":1}'::bytea, ARRAY[cardinality($1::uuid[])]), "
              "array_fill('application/json'::text, ARRAY[cardinality($1::uuid[])]))");
    }
    double began = now();
    while (now() - began < plan.seconds) {
      if (plan.rate > 0) {
        double ahead = static_cast<double>(worker.submitted) / plan.rate - (now() - began);
        if (ahead > 0)
          ::usleep(static_cast<useconds_t>(ahead * 1e6));
      }
      turn(pg.get(), plan, worker);
    }
  } catch (const std::exception &error) {
    worker.error = error.what();
  }
}

}  // namespace

int work(const Options &options) {
  auto count = static_cast<std::size_t>(options.number("workers", 4));
  Plan plan{options.text("conninfo"),
            static_cast<int>(options.number("batch", 50)),
            static_cast<double>(options.number("seconds", 5)),
            static_cast<double>(options.number("rate", 0)) / static_cast<double>(count),
            options.text("mode", "await") == "naive",
            options.text("mode", "await") == "submit"};
  std::vector<Worker> workers(count);
  std::vector<std::thread> threads;
  double began = now();
  for (Worker &worker : workers)
    threads.emplace_back([&plan, &worker] { work_on(plan, worker); });
  for (std::thread &thread : threads)
    thread.join();
  double seconds = now() - began;
  Worker all;
  Latencies claims;
  for (Worker &worker : workers) {
    if (!worker.error.empty())
      throw std::runtime_error(worker.error);
    all.submitted += worker.submitted;
    all.claimed += worker.claimed;
    all.completed += worker.completed;
    all.refused += worker.refused;
    claims.take(worker.claims);
  }
  say("{\"seconds\":%.3f,\"submitted\":%ld,\"claimed\":%ld,\"completed\":%ld,\"refused\":%ld,\"claim\":{%s}}",
      seconds, all.submitted, all.claimed, all.completed, all.refused, claims.json().c_str());
  return 0;
}

}  // namespace load
