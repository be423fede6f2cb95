#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tool/progress_line.h"
#include "tool/service.h"

namespace await::tool {

/// Exit codes of `await` besides cli::kUsage; docs/cli.md has them.
enum Exit : int {
  kDone = 0,
  kRefused = 1,
  kFailed = 2,     ///< the job
  kCancelled = 3,  ///< the job, or it has expired
  kUnknown = 4,
  kLate = 5,
  kAway = 69,
  kForbidden = 77,
};

/// Writes what is wrong to standard error; the exit code.
int complain(const Error &error);

/// What the verbs do with the answers of a service: what is printed, and the exit code.
class Verbs {
 public:
  Verbs(Service &service, ProgressLine &line, bool json) : service_(service), line_(line), json_(json) {}

  int submit(const Submission &submission, bool waits, const std::string &output);
  int watch(const std::string &job);
  int result(const std::string &job, bool waits, const std::string &output);
  int list(const Filter &filter);
  int queues(const std::string &queue);
  int pause(const std::string &queue, bool paused);
  int retry(const std::string &job);
  int cancel(const std::vector<std::string> &jobs);

 private:
  int ending(const std::string &job, const Ending &ending);

  Service &service_;
  ProgressLine &line_;
  bool json_;
};

}  // namespace await::tool
