#include <gtest/gtest.h>

#include "core/cursor.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

TEST(Cursor, is_valid_for_one_job_and_one_timeline) {
  auto here = timeline_hash("a.1");
  auto cursor = encode_cursor(here, id(1), 77);
  EXPECT_EQ(decode_cursor(cursor, here, id(1)), 77);
  EXPECT_FALSE(decode_cursor(cursor, here, id(2)));
  EXPECT_FALSE(decode_cursor(cursor, timeline_hash("a.2"), id(1)));
  for (std::string bad : {std::string(), std::string("x"), cursor + "A", cursor.substr(1),
                          std::string(3000, 'A'), std::string("\xff\xfe")})
    EXPECT_FALSE(decode_cursor(bad, here, id(1)));
}

}  // namespace
}  // namespace await::core
