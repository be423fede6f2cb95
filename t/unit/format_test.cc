#include <gtest/gtest.h>

#include "wire/format.h"

namespace await::wire {
namespace {

std::string formatted(std::string_view format, std::string_view document) {
  Format made;
  std::string why = made.compile(format);
  return why.empty() ? made.apply(document) : "refused: " + why;
}

TEST(Format, paths_are_replaced_by_values) {
  EXPECT_EQ(formatted(R"({"a":"@x","b":"@d.e.f","c":"@none","d":[1,"@x",null,"t"],"e":"@@x","n":-1.5})",
                      R"({"x": "s\"\\", "d": {"e": {"f": [1, {"y": "}"}]}}})"),
            R"({"a":"s\"\\","b":[1, {"y": "}"}],"c":null,"d":[1,"s\"\\",null,"t"],"e":"@x","n":-1.5})");
  EXPECT_EQ(formatted(R"("@a ?? @b ?? @c")", R"({"a":null,"c":0})"), "0");
  EXPECT_EQ(formatted(R"({"v":"@n"})", R"({"n":123456789012345678901234567890.10})"),
            R"({"v":123456789012345678901234567890.10})")
      << "every digit";
}

TEST(Format, filters_convert_values) {
  EXPECT_EQ(formatted(R"(["@s|upper","@n|upper","@t|unix","@t|ms","@s|unix","@none|ms"])",
                      R"({"s":"ab\n\u00e9","n":1,"t":"2026-11-21T20:02:02.090Z"})"),
            R"(["AB\n\u00E9",1,1795291322,1795291322090,null,null])");
}

TEST(Format, a_spread_adds_the_members_that_the_template_does_not_define) {
  EXPECT_EQ(
      formatted(R"({"type":"@t","...":"@d","z":1})", R"({"t":"x","d":{"type":"no","a":[1,2],"z":3,"q":{}}})"),
      R"({"type":"x","a":[1,2],"q":{},"z":1})");
  EXPECT_EQ(formatted(R"({"...":"@d"})", R"({"d":{}})"), "{}");
  EXPECT_EQ(formatted(R"({"...":"@d"})", R"({"d":"text"})"), "{}") << "what is no object has no members";
}

TEST(Format, invalid_templates_are_rejected) {
  for (const char *bad :
       {"", "{", R"({"a":"@"})", R"({"a":"@a b"})", R"({"a":"@a|lower"})", R"({"a":"@.b"})", R"({"a":"@b."})",
        R"({"...":"text"})", R"({"...":1})", R"({"a":1,"a":2})", R"({"a":"@a ??"})"})
    EXPECT_TRUE(formatted(bad, "{}").starts_with("refused: ")) << bad;
}

}  // namespace
}  // namespace await::wire
