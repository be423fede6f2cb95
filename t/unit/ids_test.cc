#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/ids.h"

namespace await {
namespace {

TEST(Uuid, only_the_canonical_form_is_parsed) {
  auto id = Uuid::parse("01A20229-85dd-7905-b3ad-942074197546");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->text(), "01a20229-85dd-7905-b3ad-942074197546");
  for (const char *bad : {"", "01a20229-85dd-7905-b3ad-94207419754", "01a2022985dd-7905-b3ad-9420741975466",
                          "g1a20229-85dd-7905-b3ad-942074197546", "01a20229-85dd-7905-b3ad-9420741975460",
                          "01a20229 85dd-7905-b3ad-942074197546"})
    EXPECT_FALSE(Uuid::parse(bad)) << bad;
}

TEST(Uuid, v7_contains_time_retention_version_and_variant) {
  auto id = Uuid::v7(1795330227363, 2, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  EXPECT_TRUE(id.is_v7());
  EXPECT_EQ(id.retention(), 2U);
  EXPECT_EQ(id.unix_ms(), 1795330227360 + 2);
  EXPECT_EQ(id.shard(), 4095U);
  EXPECT_EQ(id.text().substr(14), "7fff-bfff-ffffffffffff");
}

TEST(Uuid, the_hash_depends_on_a_seed_and_on_all_bytes) {
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

}  // namespace
}  // namespace await
