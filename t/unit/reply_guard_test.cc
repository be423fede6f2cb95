#include <gtest/gtest.h>

#include "redis/reply_guard.h"

namespace await::redis {
namespace {

const char *verdict(std::string_view bytes, std::size_t piece) {
  ReplyGuard guard;
  const char *error = nullptr;
  for (; error == nullptr && !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    error = guard.feed(bytes.substr(0, piece));
  return error;
}

TEST(ReplyGuard, valid_replies_pass) {
  for (std::string_view good :
       {"+OK\r\n", "-NOAUTH Authentication required.\r\n", ":1000\r\n", ":-1\r\n", "$-1\r\n", "*-1\r\n",
        "*0\r\n", "$0\r\n\r\n", "$5\r\na\r\nbc\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$7\r\nawait:1\r\n:1\r\n+PONG\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$7\r\nmessage\r\n$7\r\nawait:1\r\n$1\r\nx\r\n"}) {
    for (std::size_t piece : {1U, 3U, 1000U})
      EXPECT_EQ(verdict(good, piece), nullptr) << good;
  }
  std::string large = "$900000\r\n" + std::string(900000, 'x') + "\r\n";
  EXPECT_EQ(verdict(large + large, 16384), nullptr) << "each is looked at for itself";
}

TEST(ReplyGuard, invalid_replies_are_rejected) {
  // "*1000000000" made hiredis allocate 8 GB
  for (const std::string &bad : {std::string("*1000000000\r\n"),
                                 std::string("*17\r\n"),
                                 std::string("*999999999999999999\r\n"),
                                 std::string("*9999999999999999999999"),
                                 std::string("*1\r\n*1\r\n"),
                                 std::string("$1048577\r\n"),
                                 std::string("$999999999999999999\r\n"),
                                 std::string("$-2\r\n"),
                                 std::string("*-7\r\n"),
                                 std::string(":\r\n"),
                                 std::string(":1x\r\n"),
                                 std::string("$ 5\r\n"),
                                 std::string("$+5\r\n"),
                                 std::string(":--1\r\n"),
                                 std::string(":1\r\r"),
                                 std::string("$1\r\nxy\r\n"),
                                 std::string("$1\r\nx\rx"),
                                 std::string("HTTP/1.1 400 Bad Request\r\n"),
                                 std::string("\x16\x03\x01"),
                                 std::string("%1\r\n"),
                                 std::string("~1\r\n"),
                                 std::string(">1\r\n"),
                                 std::string("_\r\n"),
                                 std::string(",1.5\r\n"),
                                 std::string("#t\r\n"),
                                 std::string("(1\r\n"),
                                 std::string("=5\r\n"),
                                 std::string("|1\r\n"),
                                 std::string("+OK\n"),
                                 std::string("+O\rK\r\n"),
                                 std::string("\r\n"),
                                 std::string("\0", 1),
                                 "+" + std::string(5000, 'x'),
                                 "-" + std::string(5000, 'x'),
                                 std::string("$600000\r\n") + std::string(600000, 'x'),
                                 "*2\r\n$600000\r\n" + std::string(600000, 'x') + "\r\n$600000\r\n" +
                                     std::string(600000, 'x') + "\r\n"}) {
    bool whole = bad.starts_with("$600000");  // one of these is well
    for (std::size_t piece : {1U, 3U, 1U << 24})
      EXPECT_EQ(verdict(bad, piece) == nullptr, whole) << bad.substr(0, 40) << " in pieces of " << piece;
  }
}

}  // namespace
}  // namespace await::redis
