#include <gtest/gtest.h>

#include <deque>
#include <set>
#include <string>

#include "core/ticket_batcher.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

struct FakeAccessStore : AccessStore {
  void use(std::span<const TicketUse> tickets, Reply<std::vector<bool>> &reply) override {
    std::vector<bool> good;
    bool refused = false;
    for (const TicketUse &ticket : tickets) {
      refused = refused || ticket.owner == "bad";
      good.push_back(ticket.until_ms % 2 == 0);
    }
    ++statements;
    replies.push_back(reply);
    outcomes.push_back(refused ? Result<std::vector<bool>>(Error{Code::invalid, "bad"})
                               : Result<std::vector<bool>>(std::move(good)));
  }
  void revocations(Reply<std::vector<Revoked>> &) override {}
  void answer() {
    auto outcome = std::move(outcomes.front());
    outcomes.pop_front();
    replies.front()->deliver(std::move(outcome));
  }
  List<Reply<std::vector<bool>>> replies;
  std::deque<Result<std::vector<bool>>> outcomes;
  std::size_t statements = 0;
};

// One ticket that PostgreSQL refuses failed all that were shown with it.
TEST(TicketBatcher, an_invalid_ticket_fails_alone) {
  struct Guest {
    void answered(Result<bool> good) {
      ++calls;
      said = !good ? "refused" : *good ? "good" : "used";
    }
    int calls = 0;
    std::string said;
    TicketRedemption entrant{Callback<Result<bool>>::to<&Guest::answered>(this)};
  };
  FakeAccessStore gate;
  FakeScheduler scheduler;
  TicketBatcher batcher(gate, scheduler);
  std::deque<Guest> guests(300);
  std::set<std::size_t> bad = {0, 17, 18, 290};
  for (std::size_t i = 0; i < guests.size(); ++i) {
    guests[i].entrant.ticket = {id(static_cast<int>(i)), bad.contains(i) ? "bad" : "ann", 0,
                                static_cast<std::int64_t>(i)};
    batcher.add(guests[i].entrant);
  }
  for (int round = 0; round < 200; ++round) {
    batcher.run();
    if (!gate.outcomes.empty())
      gate.answer();
  }
  for (std::size_t i = 0; i < guests.size(); ++i) {
    EXPECT_EQ(guests[i].calls, 1);
    EXPECT_EQ(guests[i].said, bad.contains(i) ? "refused" : i % 2 == 0 ? "good" : "used") << i;
  }
  EXPECT_LE(gate.statements, 2 + bad.size() * 2 * 9);
}

}  // namespace
}  // namespace await::core
