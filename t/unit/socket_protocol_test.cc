#include <gtest/gtest.h>

#include "wire/socket_protocol.h"

namespace await::wire {
namespace {

TEST(SocketProtocol, requests_are_parsed_and_errors_are_explained) {
  SocketRequest request = parse_request(R"({"op":"subscribe","channel":"job:1","cursor":"c","more":1})");
  EXPECT_EQ(request.op, SocketRequest::subscribe);
  EXPECT_EQ(request.channel, "job:1");
  EXPECT_EQ(request.cursor, "c");
  EXPECT_EQ(parse_request(R"({"op":"subscribe","channel":"c","cursor":null})").op, SocketRequest::subscribe);
  EXPECT_EQ(parse_request(R"({"op":"unsubscribe","channel":"c"})").op, SocketRequest::unsubscribe);
  EXPECT_EQ(parse_request(R"({"op":"ping"})").op, SocketRequest::ping);
  EXPECT_EQ(parse_request(R"({"op":"ping"})").channel, "");
  EXPECT_EQ(parse_request(R"({"op":"ping","channel":"job:1"})").channel, "job:1");
  EXPECT_EQ(parse_request(R"({"op":"ping","channel":1})").op, SocketRequest::ping);
  for (const char *bad :
       {"", "null", "[]", R"({"op":"subscribe"})", R"({"op":"subscribe","channel":"c","cursor":1})",
        R"({"op":"ping","op":"ping"})", R"({"op":"close"})"}) {
    EXPECT_EQ(parse_request(bad).op, SocketRequest::malformed) << bad;
    EXPECT_STRNE(parse_request(bad).why, "") << bad;
  }
  EXPECT_EQ(encode_error("", 400, "no \"quotes\" harm"),
            R"({"op":"error","status":400,"detail":"no \"quotes\" harm"})");
  EXPECT_EQ(encode_beat("job:1", "c"), R"({"op":"beat","channel":"job:1","cursor":"c"})");
  EXPECT_EQ(encode_beat("user:ann", ""), R"({"op":"beat","channel":"user:ann"})");
}

}  // namespace
}  // namespace await::wire
