#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace await::wire {

/// A problem (RFC 9457).
struct Problem {
  int status = 500;
  std::string name;    ///< the last part of `type`, e.g. "job-not-found"
  std::string title;   ///< in English, the same for all problems with this name
  std::string detail;  ///< what happened in this case
  std::string request_id;
};

/// A type of problems, as docs/http.md has it; `tools/check-docs` compares the two.
struct ProblemType {
  int status;
  const char *name;
  const char *title;
  const char *when;  ///< in what cases, in English
};
std::span<const ProblemType> problem_types();

/// The problem for a status, such as nginx's own 404, 413 and 429.
Problem problem_of_status(int status);

/// Members without a value are left out.
/// @param base  await_problem_base, e.g. "/problems/"
/// @param instance  the path of the request
std::string encode(const Problem &problem, std::string_view base, std::string_view instance);

/// The problem of a failed job: all members that the worker set, with those of `problem`, of which it may
/// have set `type`, `title` and `detail` itself.
/// @param error  the error set by the worker, a JSON object
std::string encode_failure(const std::optional<std::string> &error, const Problem &problem,
                           std::string_view base, std::string_view instance);

}  // namespace await::wire
