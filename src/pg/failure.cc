#include "pg/failure.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace await::pg {
namespace {

std::string_view field(const PGresult *result, int code) {
  const char *value = PQresultErrorField(result, code);
  return value != nullptr ? value : "";
}

/// Whether a lock that was not available is that of a submission with the same key, or of one that is
/// creating the same queue: then another request is in the way. Our functions say so by the name of a
/// constraint, too. Any other lock is none of the client's business. The names in the context are the same in
/// every language.
bool is_of_another_submission(const PGresult *result) {
  std::string_view context = field(result, PG_DIAG_CONTEXT);
  return context.find("idem") != std::string_view::npos ||
         context.find("await.queue_id(") != std::string_view::npos;
}

/// Maps an SQLSTATE (PostgreSQL manual, appendix A) to a Code.
Code code_of(const PGresult *result) {
  std::string_view state = field(result, PG_DIAG_SQLSTATE);
  if (state.size() != 5)
    return Code::unavailable;
  std::string_view kind = state.substr(0, 2);
  bool unnamed = field(result, PG_DIAG_CONSTRAINT_NAME).empty();
  if (state == "53400")
    return Code::exhausted;  // a limit of await.limits
  if (state == "23514" && unnamed)
    return Code::unavailable;  // no partition for the row: it is being created
  // connection, shutdown or a cancelled statement, out of resources, a read-only standby, serialisation and
  // deadlocks: all of them pass, and the statement has changed nothing
  if (kind == "08" || kind == "57" || kind == "53" || kind == "25" || kind == "40")
    return Code::unavailable;
  if (state == "55P03")
    return !unnamed || is_of_another_submission(result) ? Code::conflict : Code::unavailable;
  // not by the data: a session that listens does not read its notifications, so all of them wait
  if (state == "54000" && field(result, PG_DIAG_SOURCE_FILE) == "async.c")
    return Code::unavailable;
  if (kind == "22" || kind == "23" || kind == "54")
    return Code::invalid;  // bad data, a constraint, too large for an index
  // raised by a function of ours: the data is about something that has ended
  if (state == "55000" && field(result, PG_DIAG_SOURCE_FILE) == "pl_exec.c")
    return Code::invalid;
  return state == "42501" ? Code::forbidden : Code::internal;
}

bool is_fatal(const PGresult *result) {
  std::string_view severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  std::string_view state = field(result, PG_DIAG_SQLSTATE);
  return state.size() != 5 || severity == "FATAL" || severity == "PANIC" || state.starts_with("08") ||
         state.starts_with("57P") || state.starts_with("25");
}

}  // namespace

Failure failure_of(const PGresult *result) {
  std::string_view state = field(result, PG_DIAG_SQLSTATE);
  const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  Error error{code_of(result), "PostgreSQL " + std::string(state.empty() ? "(no SQLSTATE)" : state) + ": " +
                                   one_line(primary != nullptr ? primary : PQresultErrorMessage(result))};
  return {std::move(error), is_fatal(result)};
}

std::string warning_of(const PGresult *notice) {
  constexpr std::string_view kOurs = "await: ";
  std::string_view text = field(notice, PG_DIAG_MESSAGE_PRIMARY);
  bool is_ours = field(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING" && text.starts_with(kOurs);
  return is_ours ? one_line(text.data() + kOurs.size()) : std::string();
}

std::string unreplicated_commit(const PGresult *notice) {
  // it has no SQLSTATE of its own, and its text is in the language of the server
  bool is_one = field(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING" &&
                field(notice, PG_DIAG_SOURCE_FUNCTION) == "SyncRepWaitForLSN";
  return is_one ? one_line(PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY)) : std::string();
}

std::string one_line(const char *text) {
  std::string out(text != nullptr ? text : "");
  std::replace(out.begin(), out.end(), '\n', ' ');
  while (!out.empty() && out.back() == ' ')
    out.pop_back();
  return out;
}

}  // namespace await::pg
