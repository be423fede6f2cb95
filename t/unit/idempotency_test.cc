#include <gtest/gtest.h>

#include <set>

#include "wire/idempotency.h"

namespace await::wire {
namespace {

TEST(IdempotencyKey, may_be_a_string_or_a_token) {
  EXPECT_EQ(parse_idempotency_key("\"8e03 978e\""), "8e03 978e");
  EXPECT_EQ(parse_idempotency_key("8e03978e-40d5-43e8"), "8e03978e-40d5-43e8");
  EXPECT_EQ(parse_idempotency_key(" \"a\\\"b\\\\\" ; x=\"y\";z "), "a\"b\\");
  EXPECT_EQ(parse_idempotency_key(std::string(255, 'a')), std::string(255, 'a'));
  for (std::string bad :
       {"", "\"\"", "\"a", "a b", "a, b", "\"a\\b\"", "\"a\";", "\"a\"b", "\"a\";=1", "\"\x7f\""})
    EXPECT_FALSE(parse_idempotency_key(bad)) << bad;
  EXPECT_FALSE(parse_idempotency_key(std::string(256, 'a')));
}

TEST(IdempotencyKey, the_fingerprint_depends_on_every_part_of_the_request) {
  auto of = [](std::string_view body, std::initializer_list<std::optional<std::string_view>> parts) {
    Fingerprint print;
    for (char c : body)
      print.body(std::string_view(&c, 1));
    return print.finish(parts);
  };
  EXPECT_EQ(of("body", {"a", "b"}), of("body", {"a", "b"}));
  std::set<std::string> all = {of("body", {"a", "b"}),
                               of("bod", {"ya", "b"}),
                               of("body", {"ab", ""}),
                               of("body", {"a", "b", ""}),
                               of("body", {"a", "b", std::nullopt}),
                               of("body", {std::nullopt, "b"}),
                               of("", {"body", "b"})};
  EXPECT_EQ(all.size(), 7U);
}

}  // namespace
}  // namespace await::wire
