#include "tool/database_service.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/redact.h"
#include "base/text.h"
#include "tool/json.h"

namespace await::tool {
namespace {

constexpr int kLookMs = 300;  // between two looks at the events of a job

// the times of a document, as the HTTP API writes them
#define AWAIT_TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

constexpr char kDocument[] =
    "SELECT jsonb_build_object('id', id, 'queue', queue, 'owner', owner, 'state', state, 'seq', seq, 'attempt', "
    "attempt, 'correlation_id', correlation_id, 'progress', progress::jsonb, 'params', params::jsonb, 'batch', "
    "batch, 'phase', phase, 'retry_of', retry_of, 'created_at', " AWAIT_TIME("created_at") ", 'updated_at', "
    AWAIT_TIME("updated_at") ", 'result', CASE WHEN state = 'completed' THEN jsonb_build_object('type', "
    "content_type, 'size', size, 'name', file_name) END, 'error', CASE WHEN state = 'failed' THEN error::jsonb "
    "END, 'last_error', CASE WHEN state = 'pending' THEN error::jsonb END)::text "
    "FROM await.edge_jobs(ARRAY[$1::uuid], ARRAY[0::int2], 0)";

constexpr char kEvents[] =
    "SELECT seq, jsonb_strip_nulls(jsonb_build_object('job', id, 'seq', seq, 'type', type, 'result', CASE WHEN type = "
    "'completed' THEN jsonb_build_object('type', content_type, 'size', size, 'name', file_name) END, 'at', "
    AWAIT_TIME("at") ", 'correlation_id', correlation_id)) || jsonb_build_object('data', data::jsonb), state, last_seq "
    "FROM await.edge_events(ARRAY[$1::uuid], ARRAY[$2::int4], 100, 0) ORDER BY seq";

// the first event of a job is not stored
constexpr char kFirst[] =
    "SELECT jsonb_build_object('job', id, 'seq', 1, 'type', 'pending', 'data', null, 'at', " AWAIT_TIME(
        "created_at") ", 'correlation_id', correlation_id) FROM await.edge_events(ARRAY[$1::uuid], ARRAY[0::int4], 1, 0)";

constexpr char kList[] =  // times in UTC
    "SELECT l.jobs::text, l.next FROM (SELECT set_config('TimeZone', 'UTC', true) AS zone OFFSET 0) z CROSS "
    "JOIN "
    "LATERAL await.list(CASE WHEN z.zone <> '' THEN jsonb_strip_nulls(jsonb_build_object('queue', nullif($1, "
    "''), "
    "'state', to_jsonb(string_to_array(nullif($2, ''), ',')), 'limit', $3::int, 'cursor', nullif($4, ''))) "
    "END) l";

constexpr char kQueues[] = "SELECT to_jsonb(q)::text FROM await.queues(nullif($1, '')) q";

bool is_gone(const std::string &state) {
  return state.empty() || state.starts_with("08") || state.starts_with("57P") || state == "53300";
}

Code code_of(const std::string &state) {
  return is_gone(state)            ? Code::unavailable
         : state == "57014"        ? Code::timeout
         : state == "42501"        ? Code::forbidden
         : state.starts_with("28") ? Code::forbidden
                                   : Code::invalid;
}

std::string one_line(std::string_view text) { return std::string(trim(text.substr(0, text.find('\n')))); }

}  // namespace

DatabaseService::DatabaseService(std::string conninfo, Deadline deadline,
                                 std::function<void(const std::string &)> told)
    : conninfo_(std::move(conninfo)), deadline_(deadline), told_(std::move(told)) {}

Result<Done> DatabaseService::connect() {
  if (connection_ && PQstatus(connection_.get()) == CONNECTION_OK)
    return Done{};
  std::string timeout = std::to_string(std::clamp<std::int64_t>(deadline_.left_ms() / 1000, 2, 10));
  const char *names[] = {"dbname", "application_name", "connect_timeout", "client_encoding", nullptr};
  const char *values[] = {conninfo_.c_str(), "await", timeout.c_str(), "UTF8", nullptr};
  connection_.reset(PQconnectdbParams(names, values, 1));
  if (PQstatus(connection_.get()) == CONNECTION_OK) {
    PQsetNoticeProcessor(
        connection_.get(), [](void *, const char *) {}, nullptr);
    return Done{};
  }
  std::string why = redact_message(one_line(PQerrorMessage(connection_.get())), conninfo_);
  bool refused = why.find("authentication failed") != why.npos || why.find("no pg_hba.conf") != why.npos ||
                 why.find("no password supplied") != why.npos || why.find("permission denied") != why.npos;
  return Error{refused ? Code::forbidden : Code::unavailable, "PostgreSQL: " + why};
}

Result<DatabaseService::Rows> DatabaseService::ask(const char *sql, const std::vector<Parameter> &parameters,
                                                   bool binary) {
  if (auto ready = connect(); !ready)
    return ready.error();
  std::vector<const char *> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  for (const Parameter &parameter : parameters) {
    if (!parameter.binary && !is_text(parameter.bytes))
      return Error{Code::invalid, "an argument is not UTF-8"};
    values.push_back(parameter.bytes.c_str());
    lengths.push_back(static_cast<int>(parameter.bytes.size()));
    formats.push_back(parameter.binary ? 1 : 0);
  }
  Rows rows(PQexecParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr, values.data(),
                         lengths.data(), formats.data(), binary ? 1 : 0));
  if (PQresultStatus(rows.get()) == PGRES_TUPLES_OK)
    return rows;
  const char *code = PQresultErrorField(rows.get(), PG_DIAG_SQLSTATE);
  const char *said = PQresultErrorField(rows.get(), PG_DIAG_MESSAGE_PRIMARY);
  std::string state = code != nullptr ? code : "";
  std::string why = said != nullptr ? said : one_line(PQerrorMessage(connection_.get()));
  if (state == "42501")
    why += " (roles: await_console; to submit await_worker, to watch and for results await_edge)";
  else if (state == "3F000" || state == "42883")
    why += " (run \"await-ctl migrate\")";
  return Error{code_of(state), "PostgreSQL: " + why};
}

Result<DatabaseService::Rows> DatabaseService::ask_again(const char *sql,
                                                         const std::vector<Parameter> &parameters,
                                                         bool binary) {
  for (bool told = false;; told = true) {
    auto rows = ask(sql, parameters, binary);
    constexpr std::int64_t kPauseMs = 1000;
    if (rows || rows.error().code != Code::unavailable || deadline_.left_ms() <= kPauseMs)
      return rows;
    if (!told)
      told_(rows.error().detail + "; trying again");
    ::usleep(kPauseMs * 1000);
  }
}

std::string DatabaseService::value(const Rows &rows) {
  return PQntuples(rows.get()) > 0 ? std::string(PQgetvalue(rows.get(), 0, 0),
                                                 static_cast<std::size_t>(PQgetlength(rows.get(), 0, 0)))
                                   : "";
}

Result<std::string> DatabaseService::submit(const Submission &submission) {
  if (submission.queue.empty())
    return Error{Code::invalid, "--queue is missing: which queue is the job for?"};
  // with its key, the same statement again is the same job
  auto rows = ask_again("SELECT await.submit($1, $2, $3, '{}', $4)",
                        {{submission.queue},
                         {submission.body, true},
                         {submission.type.empty() ? "application/octet-stream" : submission.type},
                         {submission.key}});
  if (!rows)
    return rows.error();
  return R"({"id":")" + value(*rows) + R"("})";
}

Result<std::string> DatabaseService::document(const std::string &job) {
  auto rows = ask_again(kDocument, {{job}});
  if (!rows)
    return rows.error();
  if (PQntuples(rows->get()) == 0)
    return Error{Code::not_found, "there is no job " + job};
  return value(*rows);
}

Result<Done> DatabaseService::follow(const std::string &job, const Take &take) {
  auto first = ask_again(kFirst, {{job}});
  if (!first)
    return first.error();
  if (PQntuples(first->get()) > 0 && !take(value(*first)))
    return Done{};
  for (std::string seq = "1";;) {
    auto rows = ask_again(kEvents, {{job}, {seq}});
    if (!rows)
      return rows.error();
    if (PQntuples(rows->get()) == 0)
      return Error{Code::not_found, "there is no job " + job};
    for (int row = 0; row < PQntuples(rows->get()) && !PQgetisnull(rows->get(), row, 0); ++row) {
      seq = PQgetvalue(rows->get(), row, 0);
      if (!take(PQgetvalue(rows->get(), row, 1)))
        return Done{};
    }
    bool all = seq == PQgetvalue(rows->get(), 0, 3);
    if (all && has_ended(PQgetvalue(rows->get(), 0, 2)))
      return Done{};
    if (deadline_.over())
      return Error{Code::timeout, job + ": it has not ended in time"};
    if (all)
      ::usleep(static_cast<unsigned>(std::min<std::int64_t>(kLookMs, deadline_.left_ms() + 1)) * 1000);
  }
}

Result<Ending> DatabaseService::result(const std::string &job, bool waits, const Sink &sink) {
  if (waits) {
    auto ended = follow(job, [](std::string_view) { return true; });
    if (!ended)
      return ended.error();
  }
  auto rows = ask_again(
      "SELECT coalesce(body, ''), state, coalesce(content_type, ''), attempt::text, coalesce(size, 0)::text, "
      "inlined::text, coalesce(error, '') FROM await.edge_jobs(ARRAY[$1::uuid], ARRAY[2::int2], 0)",
      {{job}}, true);
  if (!rows)
    return rows.error();
  if (PQntuples(rows->get()) == 0)
    return Error{Code::not_found, "there is no job " + job};
  auto column = [&](int n) { return std::string(PQgetvalue(rows->get(), 0, n)); };
  Ending ending{column(1), column(1) == "failed" ? column(6) : ""};
  if (ending.state != "completed")
    return ending;
  bool written = sink.begin(column(2)) && (column(5) != "true" || sink.write(value(*rows)));
  if (!written)
    return Error{Code::internal, "the result cannot be written"};
  if (column(5) != "true") {
    if (auto copied = copy_result(job, column(3), std::atoll(column(4).c_str()), sink); !copied)
      return copied.error();
  }
  return ending;
}

/// The pieces of a result that is not stored with its event.
Result<Done> DatabaseService::copy_result(const std::string &job, const std::string &attempt,
                                          std::int64_t size, const Sink &sink) {
  for (std::int64_t at = 0; at < size;) {
    auto rows = ask_again("SELECT bytes FROM await.edge_get($1::uuid, $2::int2, $3::int8)",
                          {{job}, {attempt}, {std::to_string(at)}}, true);
    if (!rows)
      return rows.error();
    std::string piece = value(*rows);
    if (piece.empty())
      return Error{Code::not_found, job + ": its result is incomplete; its retention may have ended"};
    if (!sink.write(piece))
      return Error{Code::internal, "the result cannot be written"};
    at += static_cast<std::int64_t>(piece.size());
  }
  return Done{};
}

Result<Page> DatabaseService::list(const Filter &filter, const std::string &cursor) {
  auto rows = ask_again(kList, {{filter.queue},
                                {filter.state},
                                {std::to_string(std::min<std::int64_t>(filter.limit, 200))},
                                {cursor}});
  if (!rows)
    return rows.error();
  return Page{elements(value(*rows)), PQgetvalue(rows->get(), 0, 1)};
}

Result<std::vector<std::string>> DatabaseService::queues(const std::string &queue) {
  auto rows = ask_again(kQueues, {{queue}});
  if (!rows)
    return rows.error();
  std::vector<std::string> out;
  for (int row = 0; row < PQntuples(rows->get()); ++row)
    out.emplace_back(PQgetvalue(rows->get(), row, 0));
  if (out.empty() && !queue.empty())
    return Error{Code::not_found, "there is no queue \"" + queue + "\""};
  return out;
}

Result<bool> DatabaseService::pause(const std::string &queue, bool paused) {
  auto rows = ask(paused ? "SELECT await.pause($1)" : "SELECT await.resume($1)", {{queue}});
  return rows ? Result<bool>(value(*rows) == "t") : rows.error();
}

Result<std::string> DatabaseService::retry(const std::string &job) {
  auto rows = ask("SELECT await.retry($1::uuid)", {{job}});
  if (!rows)
    return rows.error();
  if (value(*rows).empty())
    return Error{Code::not_found, "there is no job " + job + ", or it has not ended"};
  return value(*rows);
}

Result<bool> DatabaseService::cancel(const std::string &job) {
  auto rows = ask("SELECT await.cancel($1::uuid)", {{job}});
  if (!rows)
    return rows.error();
  if (value(*rows).empty())
    return Error{Code::not_found, "there is no job " + job};
  if (value(*rows) == "ended")
    return Error{Code::conflict, "job " + job + " has ended already"};
  return value(*rows) == "cancelled";
}

}  // namespace await::tool
