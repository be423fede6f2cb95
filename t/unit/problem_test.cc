#include <gtest/gtest.h>

#include "wire/problem.h"

namespace await::wire {
namespace {

TEST(Problem, has_the_members_of_rfc_9457) {
  Problem problem = problem_of_status(404);
  problem.detail = "x\"y";
  EXPECT_EQ(
      encode(problem, "/problems/", "/a"),
      R"({"type":"/problems/not-found","title":"Not found","status":404,"detail":"x\"y","instance":"/a"})");
  problem.request_id = "r-1";
  EXPECT_NE(encode(problem, "/problems/", "/a").find(R"("instance":"/a","request_id":"r-1"})"),
            std::string::npos);
}

TEST(Problem, of_a_failed_job_has_the_members_of_the_worker) {
  Problem problem = problem_of_status(424);
  EXPECT_EQ(
      encode_failure(R"({"title":"T","type":"urn:x","n":1,"request_id":"theirs"})", problem, "/p/", "/a"),
      R"({"title":"T","type":"urn:x","n":1,"request_id":"theirs","status":424,"instance":"/a"})");
  EXPECT_NE(encode_failure(std::nullopt, problem, "/p/", "/a").find("job-failed"), std::string::npos);
  EXPECT_NE(encode_failure("[1]", problem, "/p/", "/a").find("job-failed"), std::string::npos);
  problem.request_id = "ours";
  problem.status = 502;
  EXPECT_EQ(encode_failure(R"({"title":"T","type":"urn:x","status":1,"request_id":1})", problem, "/p/", "/a"),
            R"({"title":"T","type":"urn:x","status":502,"request_id":"ours","instance":"/a"})");
}

}  // namespace
}  // namespace await::wire
