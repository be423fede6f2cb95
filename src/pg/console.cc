#include "pg/console.h"

#include <memory>

#include "pg/call.h"
#include "pg/statements.h"

namespace await::pg {
namespace {

const char *statement(core::ConsoleRead what) {
  switch (what) {
    case core::ConsoleRead::overview:
      return statements::kConsoleOverview;
    case core::ConsoleRead::queues:
      return statements::kConsoleQueues;
    case core::ConsoleRead::jobs:
      return statements::kConsoleJobs;
    case core::ConsoleRead::job:
      return statements::kConsoleJob;
    case core::ConsoleRead::failures:
      break;
  }
  return statements::kConsoleFailures;
}

Result<core::ConsoleDocument> decode(const Rows &rows, std::size_t) {
  if (rows.count() != 1)
    return Error{Code::internal, "a function of the console returned no row"};
  return rows.maybe_text(0, 0);
}

Result<core::ConsoleActed> decode_acted(const Rows &rows, std::size_t) {
  core::ConsoleActed out;
  for (int row = 0; row < rows.count(); ++row) {
    if (!rows.null(row, 0))
      out.document = rows.text(row, 0);
    if (!rows.null(row, 1))
      out.cancelled.push_back({rows.uuid(row, 1), static_cast<int>(rows.number(row, 2))});
    if (!rows.null(row, 3))
      out.owners.push_back(rows.text(row, 3));
    if (!rows.null(row, 4))
      out.queues.push_back(rows.text(row, 4));
  }
  return out;
}

Result<std::vector<Uuid>> decode_jobs(const Rows &rows, std::size_t) {
  std::vector<Uuid> out;
  for (int row = 0; row < rows.count(); ++row)
    out.push_back(rows.uuid(row, 0));
  return out;
}

constexpr std::int64_t kReadMs = 3'000;  // payloads and uploads wait behind a read

}  // namespace

void read_console(Connection &connection, core::ConsoleRead what, const std::string &arguments,
                  core::Reply<core::ConsoleDocument> &reply) {
  Params params;
  if (what != core::ConsoleRead::overview)
    params.text(arguments);
  auto call =
      std::make_unique<Call<core::ConsoleDocument>>(statement(what), std::move(params), reply, decode);
  call->background = what == core::ConsoleRead::overview;
  call->limit_ms = kReadMs;
  connection.send(std::move(call));
}

void act_for_console(Connection &connection, const std::string &action,
                     core::Reply<core::ConsoleActed> &reply) {
  Params params;
  params.text(action);
  connection.send(std::make_unique<Call<core::ConsoleActed>>(statements::kConsoleAct, std::move(params),
                                                             reply, decode_acted));
}

void report_node(Connection &connection, const Uuid &id, const std::string &name, const std::string &report,
                 core::Reply<std::vector<Uuid>> &reply) {
  Params params;
  params.uuid(id).text(name).text(report);
  auto call = std::make_unique<Call<std::vector<Uuid>>>(statements::kEdgeReport, std::move(params), reply,
                                                        decode_jobs);
  call->background = true;
  call->limit_ms = kReadMs;
  connection.send(std::move(call));
}

}  // namespace await::pg
