#include <gtest/gtest.h>

#include "wire/socket_protocol.h"

namespace await::wire {
namespace {

TEST(SocketProtocol, requests_are_parsed_and_errors_are_explained) {
  Request request = read_request(R"({"op":"subscribe","channel":"job:1","cursor":"c","more":1})");
  EXPECT_EQ(request.op, Request::subscribe);
  EXPECT_EQ(request.channel, "job:1");
  EXPECT_EQ(request.cursor, "c");
  EXPECT_EQ(read_request(R"({"op":"subscribe","channel":"c","cursor":null})").op, Request::subscribe);
  EXPECT_EQ(read_request(R"({"op":"unsubscribe","channel":"c"})").op, Request::unsubscribe);
  EXPECT_EQ(read_request(R"({"op":"ping"})").op, Request::ping);
  for (const char *bad :
       {"", "null", "[]", R"({"op":"subscribe"})", R"({"op":"subscribe","channel":"c","cursor":1})",
        R"({"op":"ping","op":"ping"})", R"({"op":"close"})"}) {
    EXPECT_EQ(read_request(bad).op, Request::malformed) << bad;
    EXPECT_STRNE(read_request(bad).why, "") << bad;
  }
  EXPECT_EQ(say_error("", 400, "no \"quotes\" harm"),
            R"({"op":"error","status":400,"detail":"no \"quotes\" harm"})");
}

}  // namespace
}  // namespace await::wire
