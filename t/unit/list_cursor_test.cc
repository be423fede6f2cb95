#include "core/list_cursor.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "core/cursor.h"

namespace await::core {
namespace {

const CursorKeys kKeys = {{1, 2}};
const CursorKeys kOtherKeys = {{3, 4}};

Uuid some_id() { return *Uuid::parse("01a20259-b1ac-7c07-9f5a-2b6c1d0e4a77"); }

ListQuery some_list() {
  ListQuery query;
  query.owner = "ann";
  query.queue = "images";
  query.states = "failed";
  query.since_us = 1;
  return query;
}

std::string some_cursor() { return encode_list_cursor(kKeys, some_list(), {some_id(), 4711}); }

TEST(ListCursor, leads_to_the_position_that_it_was_made_of) {
  auto position = decode_list_cursor(kKeys, some_list(), some_cursor());
  ASSERT_TRUE(position);
  EXPECT_EQ(position->id, some_id());
  EXPECT_EQ(position->eid, 4711);
  EXPECT_LE(some_cursor().size(), kMostCursor);
}

// was a bug: the last job that was looked at, perhaps another owner's, could be read from the cursor
TEST(ListCursor, does_not_show_the_position) {
  std::string bytes = from_base64url(some_cursor()).value();
  auto id = some_id().raw();
  for (std::size_t i = 0; i + 4 <= id.size(); ++i) {
    std::string_view part(reinterpret_cast<const char *>(id.data()) + i, 4);
    EXPECT_EQ(bytes.find(part), bytes.npos) << i;
  }
  std::string other = from_base64url(encode_list_cursor(kKeys, some_list(), {some_id(), 4712})).value();
  EXPECT_NE(bytes.substr(1, 16), other.substr(1, 16)) << "nor what two have in common";
}

TEST(ListCursor, is_valid_with_any_limit_and_with_a_key_that_was_rotated_out) {
  ListQuery query = some_list();
  query.limit = 7;
  CursorKeys rotated = {kOtherKeys[0], kKeys[0]};
  EXPECT_TRUE(decode_list_cursor(rotated, query, some_cursor()));
}

TEST(ListCursor, is_of_no_use_on_another_list) {
  auto refused = [](auto change) {
    ListQuery query = some_list();
    change(query);
    return !decode_list_cursor(kKeys, query, some_cursor());
  };
  EXPECT_TRUE(refused([](ListQuery &query) { query.owner = "bob"; }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.owner.reset(); }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.queue = "mails"; }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.states = "failed,expired"; }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.batch = some_id(); }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.since_us.reset(); }));
  EXPECT_TRUE(refused([](ListQuery &query) { query.until_us = 1; }));
  EXPECT_FALSE(refused([](ListQuery &) {}));
}

TEST(ListCursor, of_another_database_or_changed_in_any_byte_is_refused) {
  EXPECT_FALSE(decode_list_cursor(kOtherKeys, some_list(), some_cursor()));
  EXPECT_FALSE(decode_list_cursor({}, some_list(), some_cursor()));
  for (std::size_t i = 0; i < some_cursor().size(); ++i) {
    std::string changed = some_cursor();
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_list_cursor(kKeys, some_list(), changed)) << i;
  }
  EXPECT_FALSE(decode_list_cursor(kKeys, some_list(), some_cursor() + "AAAA"));
  EXPECT_FALSE(decode_list_cursor(kKeys, some_list(), encode_cursor(1, some_id(), 1)));
  EXPECT_FALSE(decode_list_cursor(kKeys, some_list(), ""));
  EXPECT_FALSE(decode_list_cursor(kKeys, some_list(), encode_list_cursor({}, some_list(), {some_id(), 1})));
}

TEST(ListKey, differs_where_the_same_bytes_stand_in_other_filters) {
  ListQuery one, other;
  one.owner = "1:a";
  other.owner = "";
  other.queue = "1:a";
  EXPECT_NE(list_key(one), list_key(other));
  one.owner = "";
  other = ListQuery();
  EXPECT_NE(list_key(one), list_key(other)) << "an empty owner is not everybody";
}

}  // namespace
}  // namespace await::core
