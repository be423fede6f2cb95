#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// A problem as RFC 9457 has it.
struct Problem {
  int status = 500;
  std::string name;    ///< the last part of `type`, e.g. "job-not-found"
  std::string title;   ///< English, the same for every problem of this name
  std::string detail;  ///< what happened this time
};

/// The problem that a bare status stands for: nginx's own 404, 413, 429 …
Problem problem_of_status(int status);

/// @param base  await_problem_base, e.g. "/problems/"
/// @param instance  the request's path
std::string encode(const Problem &problem, std::string_view base, std::string_view instance);

/// The problem of a failed job: the worker's own members, whatever they are, around a title, a detail
/// and `status`.
/// @param error  the worker's, a JSON object
std::string encode_failure(const std::optional<std::string> &error, int status, std::string_view base,
                           std::string_view instance);

}  // namespace await::wire
