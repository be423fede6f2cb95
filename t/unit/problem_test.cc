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
  EXPECT_EQ(encode_failure(R"({"title":"T","type":"urn:x","n":1})", 424, "/p/", "/a"),
            R"({"title":"T","type":"urn:x","n":1,"status":424,"instance":"/a"})");
  EXPECT_NE(encode_failure(std::nullopt, 424, "/p/", "/a").find("job-failed"), std::string::npos);
  EXPECT_NE(encode_failure("[1]", 424, "/p/", "/a").find("job-failed"), std::string::npos);
}

}  // namespace
}  // namespace await::wire
