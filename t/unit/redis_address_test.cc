#include <gtest/gtest.h>

#include "redis/connection.h"

namespace await::redis {
namespace {

TEST(RedisAddress, urls_are_parsed_and_invalid_ones_rejected) {
  auto full = parse_url("redis://me:p%40ss@10.0.0.1:7000/3");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password, "p@ss");
  EXPECT_EQ(full->host, "10.0.0.1");
  EXPECT_EQ(full->port, 7000);
  EXPECT_EQ(full->database, 3);
  EXPECT_EQ(parse_url("redis://[::1]:1")->host, "::1");
  EXPECT_EQ(parse_url("unix:/run/redis.sock")->path, "/run/redis.sock");
  EXPECT_EQ(parse_url("redis://:secret@h")->password, "secret");
  for (const char *bad :
       {"", "h:1", "redis://", "redis://h:0", "redis://h:x", "redis://h/x", "unix:", "rediss://h"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

}  // namespace
}  // namespace await::redis
