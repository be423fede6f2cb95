#include <gtest/gtest.h>

#include "base/result.h"

namespace await {
namespace {

TEST(Result, holds_either_a_value_or_an_error) {
  Result<int> value = 3;
  Result<int> error = Error{Code::conflict, "why"};
  EXPECT_TRUE(value);
  EXPECT_EQ(*value, 3);
  EXPECT_FALSE(error);
  EXPECT_EQ(code_name(error.error().code), "conflict");
}

}  // namespace
}  // namespace await
