#include <gtest/gtest.h>

#include "base/bytes.h"

namespace await {
namespace {

TEST(Bytes, copies_share_the_bytes_and_keep_them_alive) {
  Bytes copy;
  {
    Bytes bytes(std::string_view("a\0b", 3));
    copy = bytes;
    EXPECT_EQ(copy.data(), bytes.data());
  }
  EXPECT_EQ(copy.view(), std::string_view("a\0b", 3));
  EXPECT_TRUE(Bytes().empty());
}

}  // namespace
}  // namespace await
