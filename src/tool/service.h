#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace await::tool {

struct Submission {
  std::string queue;  ///< the database only: a location has its own
  std::string type;   ///< media type; empty: application/octet-stream
  std::string key;    ///< a repetition with the same key is the same job
  std::string body;
};

struct Filter {
  std::string queue;
  std::string state;
  std::int64_t limit = 50;
};

struct Page {
  std::vector<std::string> jobs;  ///< documents, in JSON
  std::string next;               ///< empty: the last page
};

/// How a job ended, or has not yet.
struct Ending {
  std::string state;
  std::string problem;  ///< in JSON, of a failed job; may be empty
};

/// Takes an event, in JSON; false: no more.
using Take = std::function<bool(std::string_view event)>;
/// Takes a part of a result, after its media type; false: it cannot be written.
struct Sink {
  std::function<bool(const std::string &type)> begin;
  std::function<bool(std::string_view piece)> write;
};

/// What the verbs are carried out by: the HTTP API, or the database. Calls block. Texts that are returned are
/// those of others and may contain anything; what is in JSON is valid JSON on one line.
class Service {
 public:
  virtual ~Service() = default;

  /// Returns the document of the job.
  virtual Result<std::string> submit(const Submission &submission) = 0;
  virtual Result<std::string> document(const std::string &job) = 0;
  /// All events of a job from its first on, each once, over cut connections and restarts. Returns when `take`
  /// has had enough, or there are no more. Errors: not_found, forbidden, timeout, invalid.
  virtual Result<Done> follow(const std::string &job, const Take &take) = 0;
  /// The result of a job that is completed; what is there so far otherwise.
  /// @param waits  until the job has ended
  virtual Result<Ending> result(const std::string &job, bool waits, const Sink &sink) = 0;
  virtual Result<Page> list(const Filter &filter, const std::string &cursor) = 0;
  /// Objects in JSON, with at least `queue`, `waiting`, `running`, `paused`.
  virtual Result<std::vector<std::string>> queues(const std::string &queue) = 0;
  /// Returns whether something has changed.
  virtual Result<bool> pause(const std::string &queue, bool paused) = 0;
  /// Returns the id of the new job.
  virtual Result<std::string> retry(const std::string &job) = 0;
  /// Returns whether it was cancelled by this call.
  virtual Result<bool> cancel(const std::string &job) = 0;
};

/// Until when a call may last.
class Deadline {
 public:
  /// @param ms  from now on; empty: no limit
  explicit Deadline(std::optional<std::int64_t> ms);
  /// 0: it is over
  std::int64_t left_ms() const;
  bool over() const { return left_ms() <= 0; }

 private:
  std::int64_t until_;
};

inline bool has_ended(std::string_view state) {
  return state == "completed" || state == "failed" || state == "cancelled" || state == "expired";
}

}  // namespace await::tool
