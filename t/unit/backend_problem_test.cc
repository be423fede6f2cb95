#include "worker/backend_problem.h"

#include <gtest/gtest.h>

#include "wire/json_check.h"

namespace await::worker {
namespace {

std::string problem(std::string body, std::string type = "application/problem+json") {
  return backend_problem({409, std::move(type), std::move(body)}, "Answered", "No reason.");
}
std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(BackendProblem, members_survive) {
  const std::string status = R"("backend_status":409})";
  const std::string left_out = "Left out, as nested too deeply or with too long a number: ";
  const std::string digits(401, '9');
  struct {
    std::string body, error;
  } cases[] = {
      {" {\"type\": \"x\", \"a\": 1e2} \n", R"({"type":"x","a":1e2,)" + status},
      {"{}", "{" + status},
      {R"({"title":"a\u0000b","\u0000":1})", R"({"title":"a\ufffdb","\ufffd":1,)" + status},
      {R"({"title":"\\u0000","d":"\ud83d\ude00"})", R"({"title":"\\u0000","d":"\ud83d\ude00",)" + status},
      {R"({"title":"\ud800","d":"\udc00x"})", R"({"title":"\ufffd","d":"\ufffdx",)" + status},
      {"{\"title\":\"\xff\x01\"}", "{\"title\":\"\xef\xbf\xbd\\u0001\"," + status},
      {R"({"a":1,"a":2,"backend_status":7})", R"({"a":1,"a":2,"backend_status":7,)" + status},
      {R"({"title":"Low","detail":"No \"money\".","n":)" + digits + R"(,"ok":[1]})",
       R"({"title":"Low","detail":"No \"money\".","ok":[1],"detail":"No \"money\". )" + left_out + R"(n.",)" +
           status},
      {R"({"deep":)" + nested(512) + R"(,"just":)" + nested(511) + "}",
       R"({"just":)" + nested(511) + R"(,"detail":")" + left_out + R"(deep.",)" + status},
      {R"({"a\"b":{"x":[1e500]},"detail":7})",
       R"({"detail":7,"detail":")" + left_out + R"(a\"b.",)" + status},
  };
  for (const auto &one : cases) {
    EXPECT_EQ(problem(one.body), one.error);
    wire::JsonCheck check(wire::JsonCheck::Numbers::bounded);
    EXPECT_TRUE(check.feed(one.error) && check.finish()) << one.error;
  }
}

TEST(BackendProblem, thousands_of_arrays_leave_the_rest) {
  std::string error =
      problem(R"({"title":"Low","errors":)" + nested(7000) + R"(,"detail":"Why.","status":409})");
  EXPECT_TRUE(error.starts_with(R"({"title":"Low","detail":"Why.","status":409,)")) << error;
  EXPECT_NE(error.find("Why. Left out, as nested too deeply"), std::string::npos) << error;
}

TEST(BackendProblem, many_that_are_left_out_are_not_all_named) {
  std::string body = "{\"" + std::string(101, 'k') + "\":1e999";
  for (int i = 1; i < 500; ++i)
    body += ",\"m" + std::to_string(i) + "\":1e999";
  std::string error = problem(body + "}");
  EXPECT_NE(error.find(": a member with a long name, m1, "), std::string::npos) << error;
  EXPECT_NE(error.find(", m9 and 490 more.\""), std::string::npos) << error;
}

TEST(BackendProblem, what_is_no_object_is_the_detail_if_it_is_text) {
  auto with = [](std::string detail) {
    return R"({"title":"Answered","detail":")" + std::move(detail) + R"(","backend_status":409})";
  };
  EXPECT_EQ(problem("[\"no money\"]", "application/json"), with(R"([\"no money\"])"));
  EXPECT_EQ(problem("{\"title\":", "application/problem+json"), with(R"({\"title\":)"));
  EXPECT_EQ(problem(" why\n", "text/plain; charset=utf-8"), with("why"));
  EXPECT_EQ(problem("{\"a\":1}", "text/html"), R"({"a":1,"backend_status":409})");
  EXPECT_EQ(problem("<html>", "text/html"), with("No reason."));
  EXPECT_EQ(problem("", "application/json"), with("No reason."));
  std::string large = problem("{\"a\":\"" + std::string(BackendAnswer::kMaxBody, 'x') + "\"}");
  EXPECT_EQ(large, with(R"({\"a\":\")" + std::string(1994, 'x')));
  EXPECT_EQ(backend_problem({}, "Away", "Why."), R"({"title":"Away","detail":"Why."})");
}

}  // namespace
}  // namespace await::worker
