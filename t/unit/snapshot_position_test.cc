#include <gtest/gtest.h>

#include "core/cursor.h"
#include "core/position.h"
#include "core/snapshot_cursor.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

/// The eids of the events that are due.
std::vector<int> given(Position &position, const EventPage &page, int most = 100) {
  std::vector<int> out;
  position.advance(
      page, [&] { return static_cast<int>(out.size()) < most; },
      [&](const Event &event) { out.push_back(static_cast<int>(event.origin->eid)); });
  return out;
}

struct Sink {
  void take(Result<const EventPage *>) {}
};

TEST(SnapshotPosition, reads_advance_from_snapshot_to_snapshot) {
  Uuid user = named_id(0xfe, 2);
  Position position(user, "", "ann", &kKeys);
  EventRead read{Callback<Result<const EventPage *>>::to<&Sink::take>(static_cast<Sink *>(nullptr))};
  position.start(7);
  position.prepare(read);
  EXPECT_TRUE(read.since->seen.text.empty()) << "from now on";
  EXPECT_EQ(read.since->owner, "ann");
  EXPECT_EQ(position.on_page(merged("10:10:", {}), 7), Continuity::resumed);
  EXPECT_EQ(read.since->seen.text, "10:10:");

  EventPage page = merged("12:20:12,15", {31, 32, 33}, false);
  EXPECT_EQ(position.on_page(page, 7), Continuity::resumed);
  EXPECT_EQ(given(position, page, 2), (std::vector<int>{31, 32}));
  EXPECT_EQ(position.standing(page), std::make_pair(0, 1)) << "there is more";
  std::string between = position.cursor();
  EXPECT_EQ(given(position, page), (std::vector<int>{33}));
  EXPECT_EQ(position.standing(page), std::make_pair(0, 1)) << "the page was not all";
  EXPECT_EQ(read.since->reading.text, "12:20:12,15");
  EXPECT_EQ(read.since->eid, 33);
  page = merged("12:20:12,15", {34});
  EXPECT_EQ(position.on_page(page, 7), Continuity::resumed);
  EXPECT_EQ(given(position, page), (std::vector<int>{34}));
  EXPECT_EQ(position.standing(page), std::make_pair(0, 1)) << "what came after that moment";
  EXPECT_EQ(position.on_page(merged("30:30:", {}), 7), Continuity::resumed);
  EXPECT_EQ(position.standing(merged("30:30:", {})), std::make_pair(0, 0));
  EXPECT_EQ(read.since->seen.text, "30:30:");
  EXPECT_TRUE(read.since->reading.text.empty());

  Position again(user, between, "ann", &kKeys);
  again.start(7);
  again.prepare(read);
  EXPECT_EQ(read.since->seen.text, "10:10:");
  EXPECT_EQ(read.since->reading.text, "12:20:12,15");
  EXPECT_EQ(read.since->eid, 32);
  page = merged("12:20:12,15", {31, 32, 33, 34});
  EXPECT_EQ(again.on_page(page, 7), Continuity::resumed);
  EXPECT_EQ(given(again, page), (std::vector<int>{33, 34}));
}

// What was read up to a moment of the old history says nothing of the new one: it is read from now on, and
// told as lost.
TEST(SnapshotPosition, a_failover_within_a_partial_page_starts_from_now_with_a_gap) {
  Uuid user = named_id(0xfe, 2);
  SnapshotCursor since{"", {"10:10:", 1000}, {"12:20:12,15", 1000}, 32};
  Position position(user, encode_snapshot_cursor(kKeys, 7, user, since), "ann", &kKeys);
  EventRead read{Callback<Result<const EventPage *>>::to<&Sink::take>(static_cast<Sink *>(nullptr))};
  position.start(7);
  position.prepare(read);
  EventPage page = merged("12:20:12,15", {33}, false);
  EXPECT_EQ(position.on_page(page, 7), Continuity::resumed);
  EXPECT_EQ(given(position, page), (std::vector<int>{33}));
  EXPECT_EQ(position.on_page(merged("12:20:12,15", {34}, false), 8), Continuity::reread);
  EXPECT_TRUE(read.since->seen.text.empty());
  EXPECT_TRUE(read.since->reading.text.empty());
  EXPECT_EQ(read.since->eid, 0);
  EXPECT_EQ(position.on_page(merged("50:50:", {}), 8), Continuity::gap);
  EXPECT_EQ(read.since->seen.text, "50:50:");
}

TEST(SnapshotPosition, an_unusable_cursor_causes_a_gap) {
  Uuid user = named_id(0xfe, 2);
  SnapshotCursor since{"", {"10:10:", 1000}, {}, 0};
  for (std::string bad :
       {std::string("garbled"), std::string("busy"), encode_snapshot_cursor(kKeys, 8, user, since),
        encode_snapshot_cursor(kKeys, 7, named_id(0xfe, 3), since), encode_cursor(7, user, 3)}) {
    Position position(user, bad, "ann", &kKeys);
    position.start(7);
    EventPage page = merged("20:20:", {});
    EXPECT_EQ(position.on_page(page, 7), Continuity::gap) << bad;
    page = merged("30:30:", {5});
    EXPECT_EQ(position.on_page(page, 7), Continuity::resumed) << "from there it goes on";
    EXPECT_EQ(given(position, page), (std::vector<int>{5}));
    EXPECT_EQ(position.on_page(merged("40:40:", {6}), 8), Continuity::gap) << "a failover";
  }
  Position old(user, encode_snapshot_cursor(kKeys, 7, user, since), "ann", &kKeys);
  old.start(7);
  EventPage page = merged("20:20:", {});
  page.merged->lost = true;
  EXPECT_EQ(old.on_page(page, 7), Continuity::gap) << "older than what is kept";
}

TEST(SnapshotPosition, a_cursor_is_read_again_when_the_keys_become_known) {
  Uuid user = named_id(0xfe, 2);
  CursorKeys keys;
  CursorKeys both = {{3, 4}, kKeys[0]};
  SnapshotCursor since{"", {"10:10:", 1000}, {}, 0};
  Position position(user, encode_snapshot_cursor(kKeys, 7, user, since), "ann", &keys);
  EventRead read{Callback<Result<const EventPage *>>::to<&Sink::take>(static_cast<Sink *>(nullptr))};
  position.start(0);  // before PostgreSQL has told what it is
  position.prepare(read);
  keys = both;
  EXPECT_EQ(position.on_page(merged("20:20:", {}), 7), Continuity::reread);
  EXPECT_EQ(read.since->seen.text, "10:10:");
  EXPECT_EQ(position.on_page(merged("20:20:", {}), 7), Continuity::resumed) << "never a reset";
  EXPECT_TRUE(decode_snapshot_cursor(std::span(both).first(1), position.cursor(), 7, user))
      << "signed by the new key";
}

}  // namespace
}  // namespace await::core
