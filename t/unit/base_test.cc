#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/result.h"
#include "base/siphash.h"
#include "base/text.h"

namespace await {
namespace {

TEST(Uuid, parses_what_it_prints_and_nothing_else) {
  auto id = Uuid::parse("01A20229-85dd-7905-b3ad-942074197546");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->text(), "01a20229-85dd-7905-b3ad-942074197546");
  for (const char *bad : {"", "01a20229-85dd-7905-b3ad-94207419754", "01a2022985dd-7905-b3ad-9420741975466",
                          "g1a20229-85dd-7905-b3ad-942074197546", "01a20229-85dd-7905-b3ad-9420741975460",
                          "01a20229 85dd-7905-b3ad-942074197546"})
    EXPECT_FALSE(Uuid::parse(bad)) << bad;
}

TEST(Uuid, v7_carries_time_class_version_and_variant) {
  auto id = Uuid::v7(1795330227363, 2, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  EXPECT_TRUE(id.is_v7());
  EXPECT_EQ(id.retention(), 2U);
  EXPECT_EQ(id.unix_ms(), 1795330227360 + 2);
  EXPECT_EQ(id.shard(), 4095U);
  EXPECT_EQ(id.text().substr(14), "7fff-bfff-ffffffffffff");
}

TEST(SipHash, says_what_its_authors_say) {
  SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string bytes;
  EXPECT_EQ(siphash(key, bytes), 0x726fdb47dd0e0e31U);
  for (char c = 0; c < 15; ++c)
    bytes += c;
  EXPECT_EQ(siphash(key, bytes), 0xa129ca6149be45e5U);
  EXPECT_EQ(siphash(key, bytes.substr(0, 8)), 0x93f5f5799a932462U);
}

// Clients name ids of their own making: those that fall into one bucket must not be known beforehand, and ids
// alike in their last bytes must not fall into one.
TEST(Uuid, hashes_by_a_seed_and_by_all_of_it) {
  std::vector<Uuid> ids;
  for (int n = 0; n < 1000; ++n) {
    Uuid::Raw raw{};
    raw[4] = static_cast<std::uint8_t>(n >> 8), raw[5] = static_cast<std::uint8_t>(n);
    ids.emplace_back(raw);
  }
  auto hashes = [&] {
    std::vector<std::size_t> out;
    for (const Uuid &id : ids)
      out.push_back(std::hash<Uuid>()(id));
    return out;
  };
  auto before = hashes();
  set_hash_seed({7, 9});
  auto after = hashes();
  set_hash_seed({});
  EXPECT_EQ(hashes(), before) << "the same seed, the same run";
  std::size_t same = 0;
  for (std::size_t i = 0; i < ids.size(); ++i)
    same += before[i] == after[i] ? 1 : 0;
  EXPECT_EQ(same, 0U);
  std::set<std::size_t> buckets;
  for (std::size_t hash : before)
    buckets.insert(hash % 1009);
  EXPECT_GT(buckets.size(), 500U);
}

struct Item : Hook<> {
  explicit Item(int n) : n(n) {}
  int n;
};

std::vector<int> numbers(List<Item> &list) {
  std::vector<int> out;
  list.each([&](Item &item) { out.push_back(item.n); });
  return out;
}

TEST(List, a_destroyed_member_has_left) {
  List<Item> list;
  Item one(1);
  {
    Item two(2);
    list.push_back(one);
    list.push_back(two);
    EXPECT_EQ(numbers(list), (std::vector<int>{1, 2}));
  }
  EXPECT_EQ(numbers(list), std::vector<int>{1});
}

TEST(List, a_destroyed_list_lets_go) {
  Item item(1);
  {
    List<Item> list;
    list.push_back(item);
    EXPECT_TRUE(item.linked());
  }
  EXPECT_FALSE(item.linked());
}

TEST(List, take_all_moves_in_order_and_push_back_moves_over) {
  List<Item> a;
  List<Item> b;
  Item one(1), two(2), three(3);
  a.push_back(one);
  b.push_back(two);
  b.push_back(three);
  a.take_all(b);
  EXPECT_TRUE(b.empty());
  b.push_back(one);
  EXPECT_EQ(numbers(a), (std::vector<int>{2, 3}));
  EXPECT_EQ(a.pop_front()->n, 2);
  EXPECT_EQ(b.front()->n, 1);
  a.take_all(a);
  EXPECT_EQ(numbers(a), std::vector<int>{3});
}

TEST(Bytes, copies_share_and_outlive) {
  Bytes copy;
  {
    Bytes bytes(std::string_view("a\0b", 3));
    copy = bytes;
    EXPECT_EQ(copy.data(), bytes.data());
  }
  EXPECT_EQ(copy.view(), std::string_view("a\0b", 3));
  EXPECT_TRUE(Bytes().empty());
}

TEST(Text, utf8_as_unicode_has_it) {
  for (std::string_view good : {"", "abc", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\xa6\xb6", "\xef\xbf\xbf"})
    EXPECT_TRUE(is_text(good));
  for (std::string_view bad :
       {std::string_view("a\0b", 3), std::string_view("\xff"), std::string_view("\xc0\xaf"),
        std::string_view("\xed\xa0\x80"), std::string_view("\xf4\x90\x80\x80"), std::string_view("\xe2\x82"),
        std::string_view("\x80")})
    EXPECT_FALSE(is_text(bad));
}

TEST(Text, numbers_are_digits) {
  EXPECT_EQ(parse_number("0"), 0);
  EXPECT_EQ(parse_number("17", 17), 17);
  for (const char *bad : {"", "-1", "+1", " 1", "1 ", "1x", "99999999999999999999"})
    EXPECT_FALSE(parse_number(bad)) << bad;
  EXPECT_FALSE(parse_number("18", 17));
}

TEST(Text, base64url_round_trips) {
  for (std::string text :
       {std::string(), std::string("f"), std::string("fo"), std::string("foo"), std::string("\xff\xfe\0", 3)})
    EXPECT_EQ(from_base64url(base64url(text)), text);
  EXPECT_EQ(base64url("\xff\xff"), "__8");
  EXPECT_FALSE(from_base64url("a+b"));
}

TEST(Text, a_time_is_read_back) {
  EXPECT_EQ(parse_timestamp("2025-11-21T20:02:02.090Z"), 1763755322090);
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00.000Z"), 0);
  for (const char *bad : {"", "2025-11-21T20:02:02Z", "2025-11-21 20:02:02.090Z", "2025-13-21T20:02:02.090Z",
                          "2025-02-30T20:02:02.090Z", "2025-11-21T24:02:02.090Z", "2025-11-21T20:02:02.09xZ",
                          "-025-11-21T20:02:02.090Z"})
    EXPECT_FALSE(parse_timestamp(bad)) << bad;
}

TEST(Text, time_is_rfc3339) { EXPECT_EQ(format_time(1763755322090), "2025-11-21T20:02:02.090Z"); }

TEST(Text, cut_and_trim) {
  std::string_view rest = " a , b";
  EXPECT_EQ(trim(cut(rest, ',')), "a");
  EXPECT_EQ(trim(rest), "b");
  EXPECT_EQ(cut(rest, ','), " b");
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(trim("  "), "");
}

TEST(Result, holds_one_or_the_other) {
  Result<int> value = 3;
  Result<int> error = Error{Code::conflict, "why"};
  EXPECT_TRUE(value);
  EXPECT_EQ(*value, 3);
  EXPECT_FALSE(error);
  EXPECT_EQ(code_name(error.error().code), "conflict");
}

}  // namespace
}  // namespace await
