#include "wire/replay.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

std::string why(const std::string &params) {
  auto replay = parse_replay(params);
  return replay ? "" : replay.error().detail;
}

TEST(Replay, is_read_as_it_was_written) {
  Replay from{
      "http://b:9000", "PUT", "/a/b?c=\"d\"%20", {{"accept", "text/plain"}, {"x-a", "\xc3\xbc \"q\""}}};
  auto to = parse_replay(encode(from));
  ASSERT_TRUE(to) << to.error().detail;
  EXPECT_EQ(to->origin, from.origin);
  EXPECT_EQ(to->method, "PUT");
  EXPECT_EQ(to->uri, "/a/b?c=%22d%22%20");
  EXPECT_EQ(to->headers, from.headers);
}

TEST(Replay, params_of_another_kind_are_a_post_to_the_workers_url) {
  for (const std::optional<std::string> &params :
       {std::optional<std::string>(), std::optional<std::string>("{}"),
        std::optional<std::string>(R"({"width":"12"})"),
        std::optional<std::string>(R"({"method":null,"uri":null,"headers":null,"origin":null})")}) {
    auto replay = parse_replay(params);
    ASSERT_TRUE(replay);
    EXPECT_EQ(replay->method, "POST");
    EXPECT_EQ(replay->uri + replay->origin, "");
    EXPECT_TRUE(replay->headers.empty());
  }
}

TEST(Replay, hostile_params_are_errors) {
  for (const char *params : {"",
                             "[]",
                             "{",
                             "null",
                             R"({"method":1})",
                             R"({"method":"HEAD"})",
                             R"({"method":"CONNECT"})",
                             R"({"method":"post"})",
                             R"({"method":"GET / HTTP/1.1\r\nX: y\r\n\r\nGET"})",
                             R"({"uri":"x"})",
                             R"({"uri":{}})",
                             R"({"uri":"//../x"})",
                             R"({"uri":"http://169.254.169.254/"})",
                             R"({"uri":"/a/../b"})",
                             R"({"uri":"/%2e%2E/b"})",
                             R"({"uri":"/a/..%2fb"})",
                             R"({"uri":"/a/..\\b"})",
                             R"({"uri":"/..;x/b"})",
                             R"({"uri":"/."})",
                             R"({"uri":"@evil/"})",
                             R"({"headers":[]})",
                             R"({"headers":{"a":1}})",
                             R"({"headers":{"a b":"c"}})",
                             R"({"headers":{"a":"b\r\nc: d"}})",
                             R"({"headers":{"a":"b\u0000"}})",
                             R"({"headers":{"":"b"}})",
                             R"({"origin":"ftp://x"})",
                             R"({"origin":"http://u:p@x"})",
                             R"({"origin":"http://x/path"})",
                             R"({"origin":"http://x y"})",
                             R"({"origin":7})"})
    EXPECT_NE(why(params), "") << params;
  std::string many = R"({"headers":{)";
  for (int i = 0; i <= 100; ++i)
    many += (i > 0 ? "," : "") + ("\"h" + std::to_string(i)) + "\":\"v\"";
  EXPECT_NE(why(many + "}}"), "");
}

TEST(Replay, a_target_cannot_break_out_of_its_line) {
  auto replay = parse_replay(R"({"uri":"/a b\r\nX: y\u0000#f\u00fc"})");
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->uri, "/a%20b%0D%0AX:%20y%00%23f%C3%BC");
}

TEST(Replay, dots_within_segments_and_in_the_query_are_fine) {
  for (const char *target : {"/", "/a..b/.c/d.", "/...", "/x?y=../..", "/%2e%2e%2e", "//", "/a;b=../c"})
    EXPECT_TRUE(clean_target(target)) << target;
}

TEST(Replay, headers_of_the_connection_and_of_the_worker_are_left_out) {
  auto replay = parse_replay(
      R"({"headers":{"Connection":"x","Transfer-Encoding":"chunked","Content-Length":"9","Host":"evil","X-Await-Job":"1",
          "Proxy-Authorization":"x","idempotency-key":"k","Range":"bytes=0-1","X-Mine":"1"}})");
  ASSERT_TRUE(replay);
  ASSERT_EQ(replay->headers.size(), 1u);
  EXPECT_EQ(replay->headers[0].first, "X-Mine");
}

TEST(Replay, a_backend_url_is_normalised) {
  auto text = [](std::string_view url) {
    auto backend = parse_backend(url);
    return backend ? backend->origin + "|" + backend->path : "-";
  };
  EXPECT_EQ(text("http://Backend:9000/"), "http://backend:9000|");
  EXPECT_EQ(text("HTTP://b:80"), "http://b|");
  EXPECT_EQ(text("https://b:443/a/b//"), "https://b|/a/b");
  EXPECT_EQ(text("https://b:80"), "https://b:80|");
  EXPECT_EQ(text("http://[::1]:9000/a"), "http://[::1]:9000|/a");
  EXPECT_EQ(text("http://127.0.0.1"), "http://127.0.0.1|");
  for (const char *url : {"",
                          "b",
                          "b:9000",
                          "ftp://b",
                          "http://",
                          "http:///a",
                          "http://u@b",
                          "http://u:p@b",
                          "http://b:0",
                          "http://b:",
                          "http://b:99999",
                          "http://b:x",
                          "http://b?a",
                          "http://b/a?b",
                          "http://b/a#b",
                          "http://b c",
                          "http://b/a b",
                          "http://b/../a",
                          "http://[::1",
                          "http://[]",
                          "http://[::1]x",
                          "unix:/x"})
    EXPECT_EQ(text(url), "-") << url;
}

}  // namespace
}  // namespace await::wire
