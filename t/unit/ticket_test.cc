#include <gtest/gtest.h>

#include "wire/ticket.h"

namespace await::wire {
namespace {

TEST(Ticket, is_valid_only_as_it_was_signed) {
  using Seal = Unsealed::Seal;
  const std::vector<std::string> keys{"a key"};
  Ticket ticket{Uuid(), 7, "ann \"x\"", {"topic:a", "user:ann"}, 1000, 31000, 99};
  std::string text = seal(ticket, "a key");
  auto back = unseal(text, keys);
  ASSERT_EQ(back.seal, Seal::good);
  EXPECT_EQ(back.ticket.timeline, 7U);
  EXPECT_EQ(back.ticket.owner, ticket.owner);
  EXPECT_EQ(back.ticket.channels, ticket.channels);
  EXPECT_EQ(back.ticket.until_ms, 31000);
  EXPECT_EQ(back.ticket.session_s, 99);
  EXPECT_EQ(seal(ticket, ""), "") << "no key, no ticket";
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    auto other = unseal(changed, keys);
    EXPECT_TRUE(other.seal != Seal::good || other.ticket.owner == ticket.owner) << "padding bits at most";
  }
}

TEST(Ticket, contains_the_id_of_its_key) {
  using Seal = Unsealed::Seal;
  std::string text = seal({Uuid(), 7, "ann", {}, 1000, 31000, 0}, "old");
  EXPECT_EQ(unseal(text, std::vector<std::string>{"new", "old"}).seal, Seal::good) << "the key of before";
  EXPECT_EQ(unseal(text, std::vector<std::string>{"new"}).seal, Seal::foreign) << "perhaps somebody knows it";
  EXPECT_EQ(unseal(text, {}).seal, Seal::foreign);
  EXPECT_EQ(unseal(text + "A", std::vector<std::string>{"old"}).seal, Seal::broken)
      << "nobody has to be asked";
  for (const char *bad : {"", ".", "x.y", "e30.e30", "eyJrZXkiOjF9.AAAA"})
    EXPECT_EQ(unseal(bad, std::vector<std::string>{"old"}).seal, Seal::broken) << bad;
}

}  // namespace
}  // namespace await::wire
