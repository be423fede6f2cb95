#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "wire/batch_job.h"
#include "wire/json_check.h"

namespace await::wire {

/// Parses a batch in a stream, job by job: `{"jobs":[<job>, …]}`, or lines of a job each
/// (application/x-ndjson). Keeps the text of one job, of at most 1 MB, whatever the size of the body.
class BatchParser {
 public:
  static constexpr std::size_t kMaxJobs = 10000;
  static constexpr std::size_t kMaxJob = std::size_t{1} << 20;  ///< the text of a job in bytes

  enum class Form : std::uint8_t { object, lines };
  enum class Step : std::uint8_t { more, job, fault };

  /// Why a body is refused.
  struct Fault {
    std::size_t job = 0;     ///< its place, from 1; 0: it is not about a job
    std::uint64_t byte = 0;  ///< from the start of the body
    std::string why;
    bool too_much = false;  ///< a limit was exceeded (413)
    /// As a sentence.
    std::string text() const;
  };

  /// @param allowed  the options that a job may have
  explicit BatchParser(Form form, BatchOptions allowed = 0)
      : allowed_(allowed), form_(form), at_(form == Form::object ? At::begin : At::line) {}

  /// Takes bytes from the front of `bytes`, up to the end of the next job; all of them if there is no such
  /// end.
  Step next(std::string_view &bytes);
  /// Ends the body. False if it is incomplete, or has no job.
  bool finish();

  /// The job of the last Step::job.
  const BatchJob &job() const { return job_; }
  /// The same, which is empty afterwards.
  BatchJob take_job() { return std::exchange(job_, BatchJob()); }
  const Fault &fault() const { return fault_; }
  /// How many jobs there were so far.
  std::size_t jobs() const { return jobs_; }
  /// Where the last job begins, in bytes from the start of the body.
  std::uint64_t job_at() const { return began_; }
  /// The memory in use in bytes.
  std::size_t held() const { return text_.capacity(); }

 private:
  enum class At : std::uint8_t {
    begin,
    first_key,
    next_key,
    key,
    colon,
    array,
    first_job,
    next_job,
    job,
    after_job,
    after_array,
    end,
    line,
    line_end,
    broken
  };
  Step envelope(char c);
  Step value_of_key(char c);
  Step end_key();
  Step begin_job(char c);
  Step in_job(std::string_view &bytes);
  Step end_job();
  Step expect(char c, char wanted, At next, const char *why);
  Step fault(std::string why, bool too_much = false);

  BatchOptions allowed_;
  Form form_;
  At at_;
  bool have_jobs_ = false;    // the member "jobs" has begun
  std::string text_;          // of the job, or of a key, that is not complete
  JsonCheck check_;           // of the job
  std::size_t jobs_ = 0;      // complete ones
  std::uint64_t offset_ = 0;  // of the next byte
  std::uint64_t began_ = 0;   // where the job or key begins
  BatchJob job_;
  Fault fault_;
};

}  // namespace await::wire
