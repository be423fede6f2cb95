#include <gtest/gtest.h>

#include "wire/document.h"

namespace await::wire {
namespace {

TEST(Document, a_result_with_a_json_type_but_invalid_json_is_left_out) {
  core::Job job;
  job.state = core::State::completed;
  job.result = core::JobResult{200, 1, "application/json", std::nullopt, 3, true, Bytes("{x}")};
  EXPECT_EQ(encode_job(job, {}, "c", 100, "/p/").find("\"value\""), std::string::npos);
  job.result->body = Bytes("[1]");
  EXPECT_NE(encode_job(job, {}, "c", 100, "/p/").find("\"value\":[1]"), std::string::npos);
  EXPECT_EQ(encode_job(job, {}, "c", 2, "/p/").find("\"value\""), std::string::npos);
}

TEST(Document, a_job_that_waits_for_its_next_attempt_says_why_and_until_when) {
  struct {
    const char *what;
    core::State state;
    std::optional<std::string> waiting;
    const char *expected;
  } const cases[] = {
      {"new", core::State::pending, std::nullopt, R"("last_error":null,"retry_at":null,"max_attempts":null)"},
      {"failed once", core::State::pending,
       R"({"error": {"title": "Busy"}, "retry_at": "2026-11-26T18:40:52.090Z", "max_attempts": 5})",
       R"("last_error":{"title":"Busy","type":"/p/job-failed","status":424,"instance":"/j"},)"
       R"("retry_at":"2026-11-26T18:40:52.090Z","max_attempts":5)"},
      {"released", core::State::pending,
       R"({"released": true, "retry_at": "2026-11-26T18:40:52.090Z", "max_attempts": 1})",
       R"("last_error":null,"retry_at":"2026-11-26T18:40:52.090Z","max_attempts":1)"},
      {"failed by a release without max_attempts", core::State::pending,
       R"({"error": {}, "retry_at": "2026-11-26T18:40:52+00:00"})",
       R"("last_error":{"type":"/p/job-failed","title":"The job failed","status":424,"instance":"/j"},)"
       R"("retry_at":"2026-11-26T18:40:52+00:00","max_attempts":null)"},
  };
  for (const auto &one : cases) {
    core::Job job;
    job.state = one.state;
    job.waiting = one.waiting;
    EXPECT_NE(encode_job(job, {"/j", "", ""}, "c", 100, "/p/").find(one.expected), std::string::npos)
        << one.what << ": " << encode_job(job, {"/j", "", ""}, "c", 100, "/p/");
  }
}

}  // namespace
}  // namespace await::wire
