#include <gtest/gtest.h>

#include "wire/json_check.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

TEST(JsonWriter, minify_does_not_change_strings) {
  EXPECT_EQ(minify("{ \"a b\\\" c\" :\n[ 1 ,\t2 ] }"), "{\"a b\\\" c\":[1,2]}");
}

TEST(JsonWriter, strings_are_escaped_and_invalid_utf8_is_replaced) {
  EXPECT_EQ(json_string("a\"\\\n\r\x01\xc3\xbc"), "\"a\\\"\\\\\\n\\r\\u0001\xc3\xbc\"");
  EXPECT_TRUE(is_json(json_string("\xff\xfe")));
}

}  // namespace
}  // namespace await::wire
