#include <gtest/gtest.h>
#include <jansson.h>

#include <random>
#include <set>

#include "base/text.h"
#include "wire/json_check.h"

namespace await::wire {
namespace {

bool jansson_takes(std::string_view text) {
  json_t *json = json_loadb(text.data(), text.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr);
  bool good = json != nullptr;
  json_decref(json);
  return good;
}

TEST(JsonCheck, agrees_with_jansson) {
  for (const char *text : {"{}",
                           "[]",
                           "null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "1.5e-3",
                           "\"\"",
                           "\"\\u00fc\\n\\/\"",
                           "[1,2,[3]]",
                           "{\"a\":{\"b\":[]}}",
                           " [ 1 , 2 ] ",
                           "\"\\ud83e\\uddb6\"",
                           "\"\xc3\xbc\"",
                           "",
                           " ",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{\"a\" 1}",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "-",
                           "nul",
                           "truex",
                           "\"a",
                           "\"\n\"",
                           "\"\\x\"",
                           "\"\\ud83e\"",
                           "\"\\udd00\"",
                           "\"\\ud83ex\"",
                           "[1 2]",
                           "[}",
                           "{]",
                           "1 2",
                           "\"\xff\"",
                           "\"\xc0\xaf\"",
                           "[\"a\":1]",
                           "'a'",
                           "NaN",
                           "[1,2",
                           "{\"a\"",
                           "{\"a\":",
                           "\"\\u12\""})
    EXPECT_EQ(is_json(text), jansson_takes(text)) << text;
}

TEST(JsonCheck, agrees_with_jansson_on_mutations) {
  std::mt19937 random(7);
  const std::string seed = R"({"a":[1,2.5e3,-0,"x\u00fc\n",true,null],"b":{"c":""}})";
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    for (int n = 1 + static_cast<int>(random() % 3); n > 0; --n) {
      std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = "{}[]\",:0159.eE+-\\u tfn\n\xc3\xbc"[random() % 27];
          break;
        case 1:
          text.erase(at, 1);
          break;
        default:
          text.insert(at, 1, text[random() % text.size()]);
      }
    }
    // jansson refuses numbers too large for it, and NUL; those are none of ours
    EXPECT_TRUE(is_json(text) == jansson_takes(text) || text.find("e") != std::string::npos ||
                text.find('E') != std::string::npos)
        << text;
  }
}

// where it stops, why, and how much PostgreSQL would write
std::string result_of(std::initializer_list<std::string_view> parts) {
  JsonCheck check;
  for (std::string_view part : parts)
    check.feed(part);
  check.finish();
  std::string error = check.error() == nullptr ? "" : check.error();
  return std::to_string(check.offset()) + " " + error + " " + std::to_string(check.written());
}

TEST(JsonCheck, the_result_does_not_depend_on_how_the_text_is_split) {
  using namespace std::string_literals;
  const std::string escaped =
      R"({"k\u00fc and more": [1.25, "a text that is long enough \ud83e\uddb6, and goes on", {"a": null}]})";
  for (const std::string &text :
       {escaped, "[\"a quotation mark after some \xf0\x9f\xa6\xb6 and \xc3\xbc characters\", -0.5e7]"s,
        "[\"a control character in the midst \x1f of a long text\"]"s,
        "[\"bytes that are not UTF-8: \xff, and more\"]"s, R"(["half a pair: \ud83e and text after it"])"s,
        "[\"a string without an end"s, "[1,x"s}) {
    std::string whole = result_of({text});
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
      EXPECT_EQ(result_of({std::string_view(text).substr(0, cut), std::string_view(text).substr(cut)}), whole)
          << text << " " << cut;
    std::string_view rest = text;
    JsonCheck check;
    while (!rest.empty() && check.feed(rest.substr(0, 1)))
      rest.remove_prefix(1);
    EXPECT_EQ(whole.substr(0, whole.find(' ')), std::to_string(check.offset())) << text;
  }
  EXPECT_EQ(result_of({"[1,x"}), "3 unexpected character where a value should be 4");
}

TEST(JsonCheck, nesting_deeper_than_512_is_rejected) {
  EXPECT_TRUE(is_json(std::string(512, '[') + std::string(512, ']')));
  EXPECT_FALSE(is_json(std::string(513, '[') + std::string(513, ']')));
}

const char *refusal(std::string_view text) {
  JsonCheck check(JsonCheck::Numbers::bounded);
  return check.feed(text) && check.finish() ? nullptr : check.error();
}

TEST(JsonNumber, a_short_number_that_expands_to_a_long_one_is_rejected) {
  std::string zeros(399, '0');
  for (const std::string &good :
       {std::string("0"), std::string("-0e0"), std::string("1e308"), std::string("-1.7976931348623157e308"),
        std::string("4.9406564584124654e-324"), std::string("1e399"), std::string("1E+0000000000000399"),
        "1" + zeros, "0." + zeros, "0." + zeros + "e399", std::string("1e-399"), "1" + zeros + "e-0"}) {
    EXPECT_EQ(refusal(good), nullptr) << good;
    EXPECT_EQ(refusal("{\"a\":[" + good + "," + good + "]}"), nullptr) << good;
  }
  for (const std::string &bad :
       {std::string("1e400"), std::string("1e130000"), std::string("-1E+400"), std::string("1e-400"),
        std::string("0e-400"), std::string("1000000e395"), std::string("0.1e-399"), "1" + zeros + "0",
        "0." + zeros + "0", "0." + zeros + "1e-2", std::string("1e99999999999999999999999"),
        std::string("1e-99999999999999999999999"), std::string("0.") + std::string(2000, '0') + "1e-2000"}) {
    EXPECT_NE(refusal(bad), nullptr) << bad;
    EXPECT_NE(refusal("[1," + bad + "]"), nullptr) << bad;
    EXPECT_TRUE(is_json(bad)) << "it is JSON all the same: " << bad;
  }
  EXPECT_EQ(refusal("[\"1e400\"]"), nullptr) << "a text is none";
}

TEST(JsonNumber, the_expanded_length_is_computed_as_postgresql_writes_it) {
  auto written = [](std::string_view text) {
    JsonCheck check;
    EXPECT_TRUE(check.feed(text) && check.finish()) << text;
    return check.written();
  };
  auto size = [](std::string_view text) { return text.size(); };
  EXPECT_EQ(written(" { } "), size("{}"));
  EXPECT_EQ(written(R"({"a":[1,2.50,-3e2],"b":null})"), size(R"({"a": [1, 2.50, -300], "b": null})"));
  EXPECT_EQ(written(R"([true,false,1.5e-3])"), size("[true, false, 0.0015]"));
  EXPECT_EQ(written(R"("\u0041\u00e9\u20ac\ud83d\ude00\n\u000a\u0001\/\"")"),
            size("\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\n\\n\\u0001/\\\"\""));
}

}  // namespace
}  // namespace await::wire
