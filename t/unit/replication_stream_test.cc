#include "core/replication_stream.h"

#include <gtest/gtest.h>

#include <string>

namespace await::core {
namespace {

using namespace std::string_literals;

const std::string kKeepalive = "k\0\0\0\x16\xb3\x74\xd8\x48\0\0\0\0\0\0\0\0\1"s;

TEST(ReplicationStream, positions_are_read_and_written_as_PostgreSQL_does) {
  for (const char *text : {"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/1A"})
    EXPECT_EQ(format_lsn(parse_lsn(text).value_or(1)), text);
  EXPECT_EQ(parse_lsn("16/b374d848"), parse_lsn("16/B374D848"));
  for (const char *bad :
       {"", "/", "1", "1/", "/1", "1/2/3", "g/1", "123456789/0", "1/123456789", " 1/2", "-1/2"})
    EXPECT_FALSE(parse_lsn(bad)) << bad;
}

TEST(ReplicationStream, a_keepalive_says_how_far_the_log_was_sent) {
  auto message = decode_stream_message(kKeepalive);
  ASSERT_TRUE(message);
  EXPECT_EQ(format_lsn(message->position), "16/B374D848");
  EXPECT_TRUE(message->wants_reply);
  EXPECT_TRUE(message->payload.empty());
  for (std::size_t size = 0; size < kKeepalive.size(); ++size)
    EXPECT_FALSE(decode_stream_message(kKeepalive.substr(0, size))) << size;
  EXPECT_FALSE(decode_stream_message(kKeepalive + "x"));
}

TEST(ReplicationStream, data_is_handed_on) {
  std::string message = "w" + std::string(24, '\1');
  EXPECT_EQ(decode_stream_message(message + "Bxyz")->payload, "Bxyz");
  EXPECT_EQ(decode_stream_message(message)->payload, "");
  EXPECT_EQ(decode_stream_message(message + "B")->position, 0U);
  EXPECT_FALSE(decode_stream_message(message.substr(0, 24)));
  EXPECT_FALSE(decode_stream_message("p" + message));
}

TEST(ReplicationStream, the_answer_has_the_form_of_the_manual) {
  std::string position = "\0\0\0\x16\xb3\x74\xd8\x48"s;
  EXPECT_EQ(encode_stream_status(*parse_lsn("16/B374D848"), INT64_C(946'684'800'000'001), false),
            "r" + position + position + position + "\0\0\0\0\0\0\0\1\0"s);
  EXPECT_EQ(encode_stream_status(0, INT64_C(946'684'800'000'000), true), "r" + std::string(32, '\0') + '\1');
}

}  // namespace
}  // namespace await::core
