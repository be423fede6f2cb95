#include "core/multi_subscription.h"

#include <gtest/gtest.h>

#include <map>

#include "unit/core_fakes.h"

namespace await::core {
namespace {

/// A client of channels that takes `kRoom` events at a time. Jobs 1, 3 and 4 get more events than that all
/// the time; job 2 has a few. Jobs 3 and 4 are there with `Busy`.
template <bool Busy>
class Channels : public testing::Test, public MultiSubscription::Reader {
 protected:
  static constexpr int kRoom = 4;
  static constexpr int kPage = 8;

  Channels() {
    newest_[id(1)] = 100;
    newest_[id(2)] = 3;
    if (Busy) {
      for (unsigned n : {3, 4}) {
        newest_[id(n)] = 100;
        both_.add(services_, {id(n), "", "", "", true});
      }
    }
    both_.add(services_, {id(2), "", "", "", true});
    both_.start(true, true);
    run();
  }

  bool on_ready() override { return true; }
  void on_gap(MultiSubscription::Part &) override {}
  bool can_deliver() const override { return room_ > 0; }
  void on_events(MultiSubscription::Part &part, const EventPage &page) override {
    part.position().advance(
        page, [this] { return room_ > 0; }, [&](const Event &) { got_[part.id()]++, room_--; });
    if (room_ <= 0)
      part.pause();
  }
  void on_flush() override {}
  void on_end() override {}
  void on_error(const Error &) override {}
  std::optional<std::string_view> owner() const override { return std::nullopt; }

  /// Job 2 has events up to this one.
  void publish(int seq) {
    newest_[id(2)] = seq;
    hub_.notify(id(2), seq);
    hub_.run();
    run();
  }
  /// The client has read everything.
  void drain() {
    room_ = kRoom;
    both_.resume();
    run();
  }
  /// The reads that follow now fail, and are repeated later.
  void fail_reads() {
    room_ = kRoom;
    both_.resume();
    batcher_.run(now_ += 20);
    while (!store_.event_replies.empty()) {
      store_.event_queries.erase(store_.event_queries.begin());
      store_.event_replies.front()->deliver(Error{Code::unavailable, "away"});
      batcher_.run(now_ += 20);
    }
    retries_.run(now_);
    retries_.run(now_ += 5000);
  }
  /// Answers all reads, those of each statement in its order.
  void run() {
    batcher_.run(now_ += 20);
    while (!store_.event_replies.empty()) {
      std::vector<EventPage> pages;
      for (const EventQuery &query : store_.event_queries.front()) {
        EventPage &page = pages.emplace_back(page_up_to(newest_[query.id]));
        page.job = query.id;
        for (int seq = std::max(query.after, 1) + 1; seq <= page.last_seq && page.events.size() < kPage;
             ++seq)
          page.events.emplace_back().seq = seq;
      }
      store_.event_queries.erase(store_.event_queries.begin());
      store_.event_replies.front()->deliver(std::move(pages));
      for (unsigned n : {1, 3, 4})
        newest_[id(n)] += kPage;
      batcher_.run(now_ += 20);
    }
  }

  FakeBus bus_;
  FakeScheduler scheduler_;
  FakeStore store_;
  Hub hub_{bus_, scheduler_};
  RetryQueue retries_{scheduler_};
  ReadBatcher<EventRead> batcher_{store_, scheduler_};
  std::uint32_t timeline_ = 7;
  SubscriptionServices services_{{hub_, retries_, batcher_}, timeline_, kKeys};
  std::int64_t now_ = 0;
  int room_ = kRoom;
  std::map<Uuid, int> newest_;
  std::map<Uuid, int> got_;
  MultiSubscription both_{*this, services_, {id(1), "", "", "", true}};
};

using TwoChannels = Channels<false>;
using FourChannels = Channels<true>;

TEST_F(TwoChannels, a_busy_channel_does_not_keep_a_quiet_one_from_its_events) {
  publish(5);
  for (int i = 0; i < 4; ++i)
    drain();
  EXPECT_EQ(got_[id(2)], 5) << "the quiet one";
  EXPECT_GE(got_[id(1)], 2 * kRoom) << "the busy one goes on";
}

TEST_F(TwoChannels, a_channel_that_fails_gives_its_turn_away) {
  publish(50);
  drain();
  fail_reads();
  int before = got_[id(1)];
  for (int i = 0; i < 8; ++i)
    drain();
  EXPECT_GE(got_[id(1)], before + 3 * kRoom);
  EXPECT_GE(got_[id(2)], 3 * kRoom);
}

TEST_F(FourChannels, busy_channels_take_turns) {
  publish(50);
  for (int i = 0; i < 8; ++i)
    drain();
  for (unsigned n : {1, 2, 3, 4})
    EXPECT_GE(got_[id(n)], 2 * kRoom) << "job " << n;
}

TEST_F(FourChannels, a_channel_that_fails_in_the_line_keeps_nobody_in_it) {
  publish(50);
  drain();
  fail_reads();
  for (int i = 0; i < 16; ++i)
    drain();
  for (unsigned n : {1, 2, 3, 4})
    EXPECT_GE(got_[id(n)], 3 * kRoom) << "job " << n;
}

}  // namespace
}  // namespace await::core
