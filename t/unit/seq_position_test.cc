#include <gtest/gtest.h>

#include "core/cursor.h"
#include "core/multi_cursor.h"
#include "core/position.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

Event event(int seq) {
  Event out;
  out.seq = seq;
  return out;
}

TEST(SeqPosition, an_unusable_cursor_causes_a_gap) {
  for (std::string bad : {std::string("garbled"), encode_cursor(7, id(1), 9), encode_cursor(8, id(1), 3),
                          encode_cursor(7, id(2), 3)}) {
    Position position(id(1), bad);
    position.start(7);
    Continuity continuity = position.on_page(page_up_to(5), 7);
    if (continuity == Continuity::reread)
      continuity = position.on_page(page_up_to(5), 7);
    EXPECT_EQ(continuity, Continuity::gap) << bad;
    EXPECT_EQ(position.after(), 5) << "from there it goes on";
  }
}

TEST(SeqPosition, a_topic_starts_at_its_latest_event_and_events_no_longer_kept_cause_a_gap) {
  Uuid topic = named_id(0xff, 1);
  Position position(topic, "");
  position.start(7);
  EventPage none;
  none.last_seq = 9;
  EXPECT_EQ(position.on_page(none, 7), Continuity::reread);
  EXPECT_EQ(position.after(), 8) << "right before the latest";
  EventPage page;
  page.state = State::processing;
  page.last_seq = 10;
  for (int seq : {9, 10})
    page.events.emplace_back().seq = seq;
  EXPECT_EQ(position.on_page(page, 7), Continuity::resumed);
  EXPECT_TRUE(position.take(page, page.events[0]));
  EXPECT_TRUE(position.take(page, page.events[1]));

  page.last_seq = 2000;
  page.events.clear();
  page.events.emplace_back().seq = 1001;
  EXPECT_EQ(position.on_page(page, 7), Continuity::gap) << "11 to 1000 are not kept any more";
  EXPECT_EQ(position.after(), 1999);

  Position silent(topic, "");
  silent.start(7);
  EXPECT_EQ(silent.on_page(EventPage(), 7), Continuity::resumed) << "nothing was ever published";
  EXPECT_EQ(silent.after(), 1);
  Position behind(topic, encode_cursor(7, topic, 3));
  behind.start(7);
  EXPECT_EQ(behind.after(), 3);
  EXPECT_EQ(behind.on_page(page, 7), Continuity::gap);
  EXPECT_EQ(behind.after(), 1999);
}

TEST(SeqPosition, a_topic_that_was_purged_and_published_again_causes_a_gap_unless_nothing_was_missed) {
  Uuid topic = named_id(0xff, 1);
  EventPage back;  // its 2 to 40 went; then it came back
  back.state = State::processing;
  back.last_seq = 43;
  back.base = 41;
  for (int seq : {42, 43})
    back.events.emplace_back().seq = seq;
  Position waiting(topic, "");
  waiting.start(7);
  EXPECT_EQ(waiting.on_page(EventPage(), 7), Continuity::resumed);
  EXPECT_EQ(waiting.on_page(back, 7), Continuity::resumed) << "it saw that there was nothing";
  EXPECT_TRUE(waiting.take(back, back.events[0]));
  for (int seen : {1, 2, 39, 40}) {
    Position position(topic, encode_cursor(7, topic, seen));
    position.start(7);
    EXPECT_EQ(position.on_page(back, 7), Continuity::gap) << seen;
    EXPECT_EQ(position.after(), 42) << "the latest comes next";
  }
  Position stayed(topic, encode_cursor(7, topic, 40));
  stayed.start(7);
  EXPECT_EQ(stayed.on_page(EventPage(), 7), Continuity::gap) << "while it is away";
  EXPECT_EQ(stayed.on_page(back, 7), Continuity::resumed) << "told once";
  EXPECT_TRUE(stayed.take(back, back.events[0]));
}

TEST(SeqPosition, a_topic_with_only_a_latest_value_has_no_gaps) {
  Uuid topic = named_id(0xff, 1);
  Position position(topic, encode_cursor(7, topic, 3));
  position.start(7);
  EventPage page;
  page.state = State::pending;
  page.last_seq = 9;
  page.events.emplace_back().seq = 9;
  EXPECT_EQ(position.on_page(page, 7), Continuity::resumed) << "4 to 8 do not count";
  EXPECT_TRUE(position.take(page, page.events[0]));
  EXPECT_EQ(position.after(), 9);
}

TEST(SeqPosition, a_failover_causes_a_gap) {
  Position position(id(1), "");
  position.start(7);
  EXPECT_EQ(position.on_page(page_up_to(2), 7), Continuity::resumed);
  EXPECT_TRUE(position.take({}, event(1)));
  EXPECT_TRUE(position.take({}, event(2)));
  EXPECT_FALSE(position.take({}, event(4))) << "a gap";
  EXPECT_EQ(position.on_page(page_up_to(2), 7), Continuity::resumed);
  EXPECT_EQ(position.on_page(page_up_to(2), 8), Continuity::gap) << "event 2 may be another now";
  EXPECT_EQ(decode_cursor(position.cursor(), 8, id(1)), 2);
}

TEST(SeqPosition, of_a_cursor_for_several_channels_the_part_of_this_channel_is_used) {
  Uuid topic = named_id(0xff, 1);
  std::string both = join_cursors({encode_cursor(7, id(1), 2), encode_cursor(7, topic, 5)});
  Position job(id(1), both);
  job.start(7);
  EXPECT_EQ(job.after(), 2);
  Position scores(topic, both);
  scores.start(7);
  EXPECT_EQ(scores.after(), 5);
  Position other(id(3), both);
  other.start(7);
  EXPECT_EQ(other.on_page(page_up_to(4), 7), Continuity::gap) << "it says nothing of this one";
}

TEST(SeqPosition, the_end_of_retention_is_reported_once) {
  Position fresh(id(1), "");
  EXPECT_TRUE(fresh.mark_gone(7));
  Position back(id(1), join_cursors({"", fresh.cursor()}));
  EXPECT_FALSE(back.mark_gone(7));
  Position kept(id(1), fresh.cursor());
  kept.start(7);
  EXPECT_EQ(kept.on_page(page_up_to(4), 7), Continuity::gap) << "it is there after all";
}

TEST(SeqPosition, a_cursor_is_read_again_when_the_timeline_becomes_known) {
  Position position(id(1), encode_cursor(7, id(1), 3));
  position.start(0);  // before PostgreSQL has told its timeline
  EXPECT_EQ(position.after(), 0);
  EXPECT_EQ(position.on_page(page_up_to(5), 7), Continuity::reread);
  EXPECT_EQ(position.after(), 3);
  EXPECT_EQ(position.on_page(page_up_to(5), 7), Continuity::resumed);
  EXPECT_TRUE(position.take({}, event(4)));
}

TEST(SeqPosition, a_cursor_at_the_final_event_is_recognised) {
  Position position(id(1), encode_cursor(7, id(1), 5));
  position.start(7);
  position.on_page(page_up_to(5, State::completed), 7);
  EXPECT_TRUE(position.came_after_the_end(page_up_to(5, State::completed)));
  EXPECT_FALSE(position.came_after_the_end(page_up_to(5)));
}

}  // namespace
}  // namespace await::core
