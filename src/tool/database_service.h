#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "tool/service.h"

namespace await::tool {

/// The SQL functions of the schema. The login needs the rights to call them: of await_console for most verbs,
/// of await_worker to submit, of await_edge to watch and to read results; the owner of the schema has all.
class DatabaseService : public Service {
 public:
  DatabaseService(std::string conninfo, Deadline deadline, std::function<void(const std::string &)> told);

  Result<std::string> submit(const Submission &submission) override;
  Result<std::string> document(const std::string &job) override;
  Result<Done> follow(const std::string &job, const Take &take) override;
  Result<Ending> result(const std::string &job, bool waits, const Sink &sink) override;
  Result<Page> list(const Filter &filter, const std::string &cursor) override;
  Result<std::vector<std::string>> queues(const std::string &queue) override;
  Result<bool> pause(const std::string &queue, bool paused) override;
  Result<std::string> retry(const std::string &job) override;
  Result<bool> cancel(const std::string &job) override;

 private:
  struct Free {
    void operator()(PGconn *connection) const { PQfinish(connection); }
    void operator()(PGresult *result) const { PQclear(result); }
  };
  using Rows = std::unique_ptr<PGresult, Free>;
  struct Parameter {
    std::string bytes;
    bool binary = false;
  };

  Result<Done> connect();
  /// Runs one statement; its results are in text format, unless `binary`.
  Result<Rows> ask(const char *sql, const std::vector<Parameter> &parameters, bool binary = false);
  /// The same again while the server is away, until the deadline: for statements that change nothing.
  Result<Rows> ask_again(const char *sql, const std::vector<Parameter> &parameters, bool binary = false);
  /// The first value of the first row; empty if it is null or there is none.
  static std::string value(const Rows &rows);
  Result<Done> copy_result(const std::string &job, const std::string &attempt, std::int64_t size,
                           const Sink &sink);

  std::string conninfo_;
  Deadline deadline_;
  std::function<void(const std::string &)> told_;
  std::unique_ptr<PGconn, Free> connection_;
};

}  // namespace await::tool
