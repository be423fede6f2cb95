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

}  // namespace
}  // namespace await::wire
