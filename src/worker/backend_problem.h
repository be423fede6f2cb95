#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace await::worker {

/// An answer of a back end that is no result.
struct BackendAnswer {
  static constexpr std::size_t kMaxBody = 16 * 1024;

  int status = 0;  ///< 0: there was none
  std::string content_type;
  std::string body;  ///< no more than kMaxBody + 1 bytes are needed
};

/// The error of the job, a JSON object that PostgreSQL takes. A body that is a JSON object gives its members:
/// strings are repaired, and members that are nested too deeply, or have numbers that are too long, are left
/// out, which `detail` says. Other JSON, and text/plain, is the detail.
/// @param title, detail  where the answer has none
std::string backend_problem(const BackendAnswer &answer, std::string_view title, std::string_view detail);

}  // namespace await::worker
