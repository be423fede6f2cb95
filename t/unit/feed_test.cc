#include "relay/feed.h"

#include <gtest/gtest.h>

#include "unit/relay_fakes.h"

namespace await::relay {
namespace {

using Pages = std::vector<std::pair<int, int>>;

class FeedTest : public testing::Test, protected Feed::Owner {
 protected:
  void on_removed_cursor() override { ++removed; }
  bool leads() const override { return leading; }
  void on_refused() override { ++refused; }
  void on_feed() override {}
  std::optional<std::int64_t> live_rate(const Feed &) override { return live; }

  io::FakeLoop loop;
  io::FakeLog log;
  io::Random random;
  FakeCursors cursors;
  FakeSource source;
  FakeSink sink;
  FakeSink other_sink;
  Filter filter;
  bool leading = true;
  std::optional<std::int64_t> live;
  int removed = 0;
  int refused = 0;
  Feed feed{loop, log, random, cursors, source, sink, "one", filter, *this};
  Feed other{loop, log, random, cursors, source, other_sink, "two", filter, *this};
};

TEST_F(FeedTest, the_cursor_moves_only_after_the_sink_has_confirmed) {
  source.write(25);
  feed.start({"one", 3, "0"});
  source.answer();
  EXPECT_EQ(sink.pages, (Pages{{1, 10}}));
  loop.pass(5000);
  EXPECT_TRUE(cursors.asked.empty()) << "nothing is confirmed";
  sink.confirm();
  source.answer();
  EXPECT_EQ(sink.pages.back(), (std::pair{11, 20}));
  loop.pass(100);
  ASSERT_EQ(cursors.asked.size(), 1U);
  EXPECT_EQ(cursors.asked[0].no, 3);
  EXPECT_EQ(cursors.asked[0].progress.cursor, "10") << "not what was only read";
  EXPECT_EQ(cursors.asked[0].progress.delivered, 10);
  cursors.stored();
  sink.confirm();
  source.answer();
  sink.confirm();
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().no, 4);
  EXPECT_EQ(cursors.asked.back().progress.cursor, "25");
  EXPECT_FALSE(feed.caught_up()) << "it is not stored";
  cursors.stored();
  EXPECT_TRUE(feed.caught_up());
}

TEST_F(FeedTest, a_sink_that_fails_gets_the_same_page_again_and_holds_nobody_up) {
  feed.start({"one", 1, "0"});
  other.start({"two", 1, "0"});
  source.write(30);
  source.answer();
  sink.refuse("down");
  for (int i = 0; i < 3; ++i) {
    other_sink.confirm();
    source.answer();
  }
  EXPECT_EQ(other_sink.pages, (Pages{{1, 10}, {11, 20}, {21, 30}}));
  for (int i = 0; i < 5; ++i) {
    loop.pass(20'000);
    while (!cursors.replies.empty())
      cursors.stored();
    ASSERT_TRUE(sink.busy()) << "tried again";
    sink.refuse("down");
  }
  EXPECT_EQ(sink.pages, Pages(6, {1, 10}));
  EXPECT_EQ(feed.trouble(), "sink one: down");
  EXPECT_EQ(other.trouble(), "");
  for (const auto &asked : cursors.asked) {
    if (asked.sink == "one") {
      EXPECT_LE(asked.progress.cursor, "0") << "it stays";
      EXPECT_EQ(asked.progress.reason, "down");
    }
  }
  EXPECT_EQ(std::count(log.lines.begin(), log.lines.end(), "sink one: down"), 2)
      << "once, and once more after a minute";
  EXPECT_EQ(source.read_upto[source.listeners[0]], 20U) << "no more was read for a sink that takes nothing";
  loop.pass(20'000);
  sink.confirm();
  EXPECT_EQ(feed.trouble(), "");
}

TEST_F(FeedTest, a_sink_that_catches_up_rests_beside_those_that_have_everything) {
  auto page_in = [&](std::int64_t ms) {
    loop.pass(ms);
    source.answer();
    sink.confirm();
  };
  source.write(1000);
  feed.start({"one", 1, "0"});
  page_in(10);
  EXPECT_EQ(source.held.size(), 1U) << "no other sink is there";
  EXPECT_FALSE(feed.live());
  live = 0;
  page_in(10);
  EXPECT_EQ(source.held.size(), 0U) << "it rests";
  loop.pass(29);
  EXPECT_EQ(source.held.size(), 0U);
  loop.pass(1);
  EXPECT_EQ(source.held.size(), 1U) << "for three times as long as the page took";
  page_in(1000);
  loop.pass(250);
  EXPECT_EQ(source.held.size(), 1U) << "but not for long";
  live = 100;
  page_in(10);
  loop.pass(14);
  EXPECT_EQ(source.held.size(), 0U);
  loop.pass(1);
  EXPECT_EQ(source.held.size(), 1U) << "10 events in 25 ms are four times as many as come for others";
  live = 1000;
  page_in(10);
  EXPECT_EQ(source.held.size(), 1U) << "it would not gain on them";
  live = std::nullopt;
  while (!source.held.empty())
    page_in(1);
  EXPECT_TRUE(feed.live()) << "it has everything";
  EXPECT_EQ(feed.rate(), 970) << "events were read in the last seconds";
}

TEST_F(FeedTest, a_group_of_pages_is_bounded_by_events_and_by_bytes) {
  constexpr std::size_t kBound = 4 << 20;
  constexpr std::size_t kEvent = 100'000;
  sink.size = 5;
  sink.group = 2000;
  feed.start({"one", 1, "0"});
  source.write(2000, kEvent);
  source.answer();
  for (int i = 0; i < 60 && sink.busy(); ++i) {
    std::size_t before = source.all.size();
    source.answer();
    EXPECT_EQ(source.all.size(), before);
    sink.confirm();
  }
  EXPECT_EQ(sink.pages.back().second, 2000) << "all come";
  EXPECT_GE(sink.most_bytes, kBound - kEvent * 5) << "pages are put together";
  EXPECT_LT(sink.most_bytes, kBound + kEvent * 5) << "up to the bound and the page that passes it";

  FakeSink small;
  small.group = 100;
  Feed third{loop, log, random, cursors, source, small, "three", filter, *this};
  third.start({"three", 1, "0"});
  source.answer();
  while (small.busy()) {
    source.answer();
    small.confirm();
  }
  for (auto [first, last] : small.pages)
    EXPECT_LE(last - first, 110);
}

TEST_F(FeedTest, without_the_lead_nothing_is_handed_on_or_stored) {
  source.write(25);
  feed.start({"one", 1, "0"});
  leading = false;  // it stood still, and has not learned of it
  source.answer();
  EXPECT_TRUE(sink.pages.empty());
  feed.stop();
  leading = true;
  feed.start({"one", 5, "10"});
  source.answer();
  EXPECT_EQ(sink.pages, (Pages{{11, 20}})) << "from the cursor on that is stored";
  feed.stop();
  EXPECT_FALSE(feed.idle()) << "the sink has a page";
  sink.confirm();
  EXPECT_TRUE(feed.idle());
  loop.pass(20'000);
  EXPECT_TRUE(cursors.asked.empty()) << "its outcome is of no interest";
  EXPECT_TRUE(source.listeners.empty());
}

TEST_F(FeedTest, a_cursor_that_another_has_moved) {
  source.write(30);
  feed.start({"one", 1, "0"});
  source.answer();
  sink.confirm();
  source.answer();
  loop.pass(100);
  cursors.answer(Advanced{true, 9, "20"});  // by an operator
  source.answer();
  sink.confirm();  // of before
  source.answer();
  EXPECT_EQ(sink.pages.back(), (std::pair{21, 30}));
  sink.confirm();
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().no, 9);
  cursors.answer(Advanced{true, 9, ""});
  EXPECT_EQ(removed, 1);
  source.write(1);
  source.answer();
  sink.confirm();
  loop.pass(100);
  cursors.answer(Advanced{false, 0, std::nullopt});
  EXPECT_EQ(refused, 1);
}

TEST_F(FeedTest, what_could_not_be_stored_is_stored_later) {
  source.write(5);
  feed.start({"one", 1, "0"});
  source.answer();
  sink.confirm();
  loop.pass(100);
  cursors.answer(Error{Code::unavailable, "away"});
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().progress.cursor, "5");
  EXPECT_EQ(cursors.asked.back().progress.delivered, 5);
}

TEST_F(FeedTest, reads_again_after_an_error) {
  feed.start({"one", 1, "0"});
  source.write(5);
  source.fail();
  EXPECT_EQ(feed.trouble(), "sink one: cannot read events: away");
  loop.pass(100);
  ASSERT_EQ(cursors.asked.size(), 1U);
  EXPECT_EQ(cursors.asked[0].progress.reason, "cannot read events: away") << "the status says so";
  EXPECT_EQ(cursors.asked[0].progress.cursor, "") << "the cursor stays";
  cursors.answer(Error{Code::unavailable, "away"});
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().progress.reason, "cannot read events: away")
      << "though it could not be stored";
  cursors.stored();
  loop.pass(5000);
  source.answer();
  EXPECT_EQ(sink.pages, (Pages{{1, 5}}));
  EXPECT_EQ(feed.trouble(), "");
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().progress.reason, "") << "and when it is over, before an event is delivered";
  EXPECT_EQ(cursors.asked.size(), 3U);
}

TEST_F(FeedTest, what_is_filtered_out_moves_the_cursor) {
  filter.types = {"completed"};
  source.write(8, 0, "progress");
  feed.start({"one", 1, "0"});
  source.answer();
  EXPECT_TRUE(sink.pages.empty());
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().progress.cursor, "8");
  EXPECT_EQ(cursors.asked.back().progress.delivered, 0);
}

TEST_F(FeedTest, events_without_a_cursor_wait_for_one) {
  source.write(5);
  source.without_cursor = true;
  feed.start({"one", 1, "0"});
  source.answer();
  sink.confirm();
  loop.pass(1000);
  EXPECT_TRUE(cursors.asked.empty());
  source.without_cursor = false;
  source.write(1);
  source.answer();
  sink.confirm();
  loop.pass(100);
  EXPECT_EQ(cursors.asked.back().progress.cursor, "6");
  EXPECT_EQ(cursors.asked.back().progress.delivered, 6);
}

TEST_F(FeedTest, drains_what_was_begun) {
  source.write(25);
  feed.start({"one", 1, "0"});
  source.answer();
  feed.drain();
  EXPECT_FALSE(feed.idle());
  sink.confirm();
  loop.pass(0);
  EXPECT_EQ(sink.pages.size(), 1U) << "no other page";
  ASSERT_FALSE(cursors.asked.empty());
  EXPECT_EQ(cursors.asked.back().progress.cursor, "10");
  cursors.stored();
  EXPECT_TRUE(feed.idle());
}

}  // namespace
}  // namespace await::relay
