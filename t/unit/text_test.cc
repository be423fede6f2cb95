#include <gtest/gtest.h>

#include "base/text.h"

namespace await {
namespace {

TEST(Text, utf8_is_validated_as_unicode_says) {
  for (std::string_view good : {"", "abc", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\xa6\xb6", "\xef\xbf\xbf"})
    EXPECT_TRUE(is_text(good));
  for (std::string_view bad :
       {std::string_view("a\0b", 3), std::string_view("\xff"), std::string_view("\xc0\xaf"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xf4\x90\x80\x80"), std::string_view("\xe2\x82"),
        std::string_view("\x80")})
    EXPECT_FALSE(is_text(bad));
}

// eight bytes are looked at together: no byte may hide among them
TEST(Text, each_byte_counts_at_each_place) {
  for (std::size_t size = 1; size <= 19; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        EXPECT_EQ(is_text(text), byte > 0 && byte < 0x80) << size << " " << at << " " << byte;
      }
    }
  }
}

TEST(Text, a_repair_changes_the_bad_bytes_only) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(repair_text("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(repair_text(std::string_view("a\0b", 3)), "a" + bad + "b");
  EXPECT_EQ(repair_text("\xff\xc3\xa9\xc3"), bad + "\xc3\xa9" + bad);
  EXPECT_EQ(repair_text("\xed\xa0\x80."), bad + bad + bad + ".");
  EXPECT_EQ(repair_text(""), "");
}

TEST(Text, a_tail_starts_with_a_whole_character) {
  EXPECT_EQ(text_tail("abc", 3), "abc");
  EXPECT_EQ(text_tail("abcd", 3), "bcd");
  EXPECT_EQ(text_tail("\xc3\xa9x", 2), "x");
  EXPECT_EQ(text_tail("\xf0\x9f\xa6\xb6x", 4), "x");
  EXPECT_EQ(text_tail("a\x80\x80\x80\x80\x80", 5), "\x80\x80");
}

TEST(Text, numbers_consist_of_digits_only) {
  EXPECT_EQ(parse_number("0"), 0);
  EXPECT_EQ(parse_number("17", 17), 17);
  for (const char *bad : {"", "-1", "+1", " 1", "1 ", "1x", "99999999999999999999"})
    EXPECT_FALSE(parse_number(bad)) << bad;
  EXPECT_FALSE(parse_number("18", 17));
  EXPECT_EQ(parse_clipped("18", 17), 17);
  EXPECT_EQ(parse_clipped("99999999999999999999", 17), 17);
  EXPECT_EQ(parse_clipped("007", 17), 7);
  for (const char *bad : {"", "-1", "+1", " 1", "1 ", "1x", "1.5", "0x1"})
    EXPECT_FALSE(parse_clipped(bad, 17)) << bad;
}

TEST(Text, base64url_round_trips) {
  for (std::string text :
       {std::string(), std::string("f"), std::string("fo"), std::string("foo"), std::string("\xff\xfe\0", 3)})
    EXPECT_EQ(from_base64url(base64url(text)), text);
  EXPECT_EQ(base64url("\xff\xff"), "__8");
  EXPECT_FALSE(from_base64url("a+b"));
}

TEST(Text, a_formatted_time_is_parsed_back) {
  EXPECT_EQ(parse_timestamp("2025-11-21T20:02:02.090Z"), 1763755322090);
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00.000Z"), 0);
  for (const char *bad : {"", "2025-11-21T20:02:02Z", "2025-11-21 20:02:02.090Z", "2025-13-21T20:02:02.090Z",
                          "2025-02-30T20:02:02.090Z", "2025-11-21T24:02:02.090Z", "2025-11-21T20:02:02.09xZ",
                          "-025-11-21T20:02:02.090Z"})
    EXPECT_FALSE(parse_timestamp(bad)) << bad;
}

TEST(Text, a_time_of_rfc_3339_in_utc_is_parsed_with_any_number_of_decimal_places_up_to_nine) {
  EXPECT_EQ(parse_utc("1970-01-01T00:00:01Z"), 1'000'000);
  EXPECT_EQ(parse_utc("2025-11-21T20:02:02.090Z"), 1763755322090'000);
  EXPECT_EQ(parse_utc("1970-01-01T00:00:00.1234567Z"), 123456);
  for (const char *bad :
       {"", "Z", "2025-11-21T20:02:02", "2025-11-21T20:02:02.Z", "2025-11-21T20:02:02.1234567890Z",
        "2025-11-21T20:02:02+00:00", "2025-11-21T20:02:02.-1Z", "2025-02-30T20:02:02Z",
        "2025-11-21T20:02:02.09 Z", "2025-11-21T20:02Z"})
    EXPECT_FALSE(parse_utc(bad)) << bad;
}

TEST(Text, times_are_formatted_as_rfc_3339_says) {
  EXPECT_EQ(format_time(1763755322090), "2025-11-21T20:02:02.090Z");
}

/// Bug: a year of five digits was written before the beginning of the text.
TEST(Text, a_time_has_a_year_of_four_digits) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_time(253'402'300'799'999), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(format_time(-62'167'219'200'000), "0000-01-01T00:00:00.000Z");
  for (std::int64_t ms : {std::int64_t{253'402'300'800'000}, INT64_MAX / 1000, INT64_MAX})
    EXPECT_EQ(format_time(ms), "9999-12-31T23:59:59.999Z") << ms;
  for (std::int64_t ms : {std::int64_t{-62'167'219'200'001}, INT64_MIN / 1000, INT64_MIN})
    EXPECT_EQ(format_time(ms), "0000-01-01T00:00:00.000Z") << ms;
}

TEST(Text, cut_splits_at_a_separator_and_trim_removes_spaces) {
  std::string_view rest = " a , b";
  EXPECT_EQ(trim(cut(rest, ',')), "a");
  EXPECT_EQ(trim(rest), "b");
  EXPECT_EQ(cut(rest, ','), " b");
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(trim("  "), "");
}

}  // namespace
}  // namespace await
