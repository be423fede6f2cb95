#include <gtest/gtest.h>

#include "wire/json_check.h"
#include "wire/json_list.h"
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

TEST(JsonWriter, each_character_is_escaped_at_each_place) {
  for (std::size_t size = 1; size <= 19; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 0x80; ++c) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(c);
        std::string json = json_string(text);
        bool is_plain = c >= 0x20 && c != '"' && c != '\\';
        EXPECT_TRUE(is_json(json)) << size << " " << at << " " << c;
        EXPECT_EQ(json == '"' + text + '"', is_plain) << size << " " << at << " " << c;
      }
    }
  }
}

TEST(JsonList, elements_are_separated_by_commas) {
  EXPECT_EQ(JsonList().take(), "[]");
  JsonList list;
  list.number(-1);
  list.text("a\"b");
  list.made("{}");
  EXPECT_EQ(list.take(), "[-1,\"a\\\"b\",{}]");
}

}  // namespace
}  // namespace await::wire
