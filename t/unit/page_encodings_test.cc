#include "wire/page_encodings.h"

#include <gtest/gtest.h>

#include <deque>

#include "core/cursor.h"
#include "core/verified_update.h"
#include "unit/core_fakes.h"
#include "wire/socket_protocol.h"
#include "wire/sse.h"

namespace await::wire {
namespace {

core::EventPage page_of(int first, int last) {
  core::EventPage page = core::page_up_to(last);
  page.job = core::id(1);
  for (int seq = first; seq <= last; ++seq) {
    core::Event &event = page.events.emplace_back();
    event.seq = seq;
    event.type = "n";
  }
  return page;
}

core::Position before(const core::EventPage &page, int seq) {
  core::Position position(page.job, core::encode_cursor(7, page.job, seq));
  position.start(7);
  position.on_page(page, 7);
  return position;
}

/// Two clients get the same bytes, at the same address, if they were made once.
std::string_view frame_for(const core::EventPage &page, const EventEncoding &encoding,
                           FrameStyle style = {}) {
  core::Position position = before(page, page.events.front().seq - 1);
  return page_frame(page, position, style, encoding).view();
}

TEST(PageEncodings, a_page_is_encoded_once_for_all_clients) {
  core::EventPage page = page_of(2, 4);
  EventEncoding encoding;
  std::string_view first = frame_for(page, encoding);
  for (int client = 0; client < 100; ++client)
    EXPECT_EQ(frame_for(page, encoding).data(), first.data());
  core::Position position = before(page, 2);
  ASSERT_TRUE(position.take(page, page.events[1]));
  const Bytes &event = event_frame(page, page.events[1], position, {}, encoding);
  EXPECT_EQ(event_frame(page, page.events[1], position, {}, encoding).data(), event.data());
  EXPECT_NE(first.find(event.view()), first.npos) << "a part of the whole";
}

TEST(PageEncodings, encodings_of_two_locations_do_not_evict_each_other) {
  core::EventPage page = page_of(2, 4);
  EventTypes hidden = {{"n", ""}}, renamed = {{"n", "news"}};
  EventEncoding plain, other;
  other.types = &renamed;
  std::string_view one = frame_for(page, plain), two = frame_for(page, other);
  EXPECT_NE(one, two);
  for (int client = 0; client < 100; ++client) {
    EXPECT_EQ(frame_for(page, plain).data(), one.data());
    EXPECT_EQ(frame_for(page, other).data(), two.data());
  }
  EXPECT_NE(two.find("event: news"), std::string_view::npos);
  EventEncoding same = other;
  EXPECT_EQ(frame_for(page, same).data(), two.data()) << "compared by value";
  EXPECT_NE(frame_for(page, plain, {.chunked = true}), one) << "another kind of frame";
  EventEncoding none;
  none.types = &hidden;
  core::Position position = before(page, 1);
  EXPECT_TRUE(page_frame(page, position, {}, none).empty());
  EXPECT_EQ(position.after(), 4) << "hidden events are passed over";
}

TEST(PageEncodings, a_page_has_at_most_four_encodings) {
  core::EventPage page = page_of(2, 4);
  std::deque<EventEncoding> all(PageEncodings::kMost + 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].value_max = static_cast<std::int64_t>(i);
    frame_for(page, all[i]);
    auto *encodings = static_cast<PageEncodings *>(page.encodings.get());
    EXPECT_EQ(encodings->size(), std::min(i + 1, PageEncodings::kMost));
  }
  EXPECT_EQ(PageEncodings::of(page, all[1]).frame(FrameKind::sse).size(),
            PageEncodings::of(page, all[4]).frame(FrameKind::sse).size());
  EXPECT_TRUE(PageEncodings::of(page, all[0]).frame(FrameKind::sse).empty()) << "the oldest was replaced";
  EXPECT_NE(frame_for(page, all[0]).find("data: "), std::string_view::npos);
}

TEST(PageEncodings, the_row_of_the_job_is_encoded_as_event_1) {
  core::EventPage page = page_of(2, 3);
  core::Position position(page.job, "");
  position.start(7);
  position.on_page(page, 7);
  std::string sent;
  position.advance(
      page, [] { return true; },
      [&](const core::Event &event) { sent += socket_frame(page, event, position, {}).view(); });
  EXPECT_NE(sent.find(R"("seq":1,"type":"pending")"), std::string::npos) << sent;
  EXPECT_NE(sent.find(R"("seq":2,"type":"n")"), std::string::npos);
  EXPECT_NE(sent.find(R"("seq":3,"type":"n")"), std::string::npos);
}

TEST(PageEncodings, an_update_that_grows_and_a_copy_start_without_encodings) {
  core::VerifiedUpdate update, next;
  update.page = page_of(2, 2);
  next.page = page_of(3, 3);
  frame_for(update.page, {});
  core::EventPage copy = update.page;
  EXPECT_EQ(copy.encodings.get(), nullptr);
  ASSERT_TRUE(update.append(std::move(next)));
  EXPECT_NE(frame_for(update.page, {}).find("\"seq\":3"), std::string_view::npos);
}

}  // namespace
}  // namespace await::wire
