// What PostgreSQL makes of the JSON that we let through: never longer than we say, so that nothing short
// becomes gigabytes. On a real PostgreSQL (AWAIT_POSTGRES), for we only have an idea of jsonb and numeric.

#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "wire/json_check.h"

namespace await {
namespace {

using Numbers = wire::JsonCheck::Numbers;

/// The length of what PostgreSQL would write; nothing where it is refused.
std::optional<std::uint64_t> written(std::string_view text, Numbers numbers = Numbers::bounded) {
  wire::JsonCheck check(numbers);
  return check.feed(text) && check.finish() ? std::optional(check.written()) : std::nullopt;
}

class Json : public testing::Test {
 protected:
  void SetUp() override {
    const char *conninfo = std::getenv("AWAIT_POSTGRES");
    connection_.reset(PQconnectdb(conninfo != nullptr ? conninfo : "host=127.0.0.1 port=1"));
    ASSERT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
  }

  /// What `text` is as jsonb, written out; of a text that PostgreSQL refuses, its SQLSTATE.
  std::string as_jsonb(const std::string &text) {
    const char *values[] = {text.c_str()};
    std::unique_ptr<PGresult, void (*)(PGresult *)> result(
        PQexecParams(connection_.get(), "SELECT $1::text::jsonb::text", 1, nullptr, values, nullptr, nullptr,
                     0),
        PQclear);
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK)
      return std::string("SQLSTATE ") + PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    return PQgetvalue(result.get(), 0, 0);
  }

  std::size_t below(std::size_t n) { return random_() % n; }
  std::string digits(std::size_t n) {
    std::string out;
    while (out.size() < n)
      out += below(3) == 0 ? '0' : static_cast<char>('0' + below(10));
    return out;
  }
  /// A number of any shape; mostly near what is allowed.
  std::string number() {
    constexpr std::size_t kSizes[] = {0, 1, 2, 7, 40, 399, 400, 401};
    std::string out = below(2) == 0 ? "-" : "";
    std::size_t before = kSizes[below(8)];
    out += before == 0 || below(4) == 0 ? "0" : static_cast<char>('1' + below(9)) + digits(before - 1);
    if (std::size_t behind = kSizes[below(8)]; behind > 0)
      out += "." + (below(3) == 0 ? std::string(behind, '0') : digits(behind));
    if (below(3) > 0) {
      constexpr std::size_t kExponents[] = {0, 1, 5, 308, 398, 399, 400, 401, 1000, 16383, 131072, 9999999};
      out += below(2) == 0 ? "e" : "E";
      out += below(3) == 0 ? "+" : below(2) == 0 ? "-" : "";
      out += std::string(below(3), '0') + std::to_string(kExponents[below(12)]);
    }
    return out;
  }
  std::string text() {
    constexpr const char *kPieces[] = {
        "a",   "\\u0041", "\\u00e9", "\xc3\xa9", "\\u20ac", "\\ud83d\\ude00", "\xf0\x9f\x98\x80",
        "\\n", "\\u000a", "\\u0008", "\\u000b",  "\\u001f", "\\u007f",        "\x7f",
        "\\/", "/",       "\\\"",    "\\u0022",  "\\\\",    "\\u005c",        " "};
    std::string out = "\"";
    for (std::size_t n = below(6); n > 0; --n)
      out += kPieces[below(std::size(kPieces))];
    return out + "\"";
  }
  std::string value(std::size_t depth) {
    std::string space(below(3), ' ');
    switch (below(depth == 0 ? 4 : 6)) {
      case 0:
        return space + number();
      case 1:
        return text() + space;
      case 2:
        return below(2) == 0 ? "true" : "false";
      case 3:
        return "null";
      case 4: {
        std::string out = "[" + space;
        for (std::size_t n = below(4); n > 0; --n)
          out += value(depth - 1) + (n > 1 ? "," : "");
        return out + "]";
      }
      default: {
        std::string out = "{" + space;
        for (std::size_t n = below(4); n > 0; --n)  // names that differ, else one of them is dropped
          out += "\"" + std::to_string(n) + "\"" + space + ":" + value(depth - 1) + (n > 1 ? "," : "");
        return out + "}";
      }
    }
  }

  std::unique_ptr<PGconn, void (*)(PGconn *)> connection_{nullptr, PQfinish};
  std::mt19937 random_{20260101};
};

TEST_F(Json, a_number_that_is_let_through_is_no_longer_than_we_say) {
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string one = number();
    auto length = written(one);
    ++(length ? taken : refused);
    if (!length)
      continue;
    std::string out = as_jsonb(one);
    ASSERT_FALSE(out.starts_with("SQLSTATE")) << one << ": " << out;
    ASSERT_LE(out.size(), *length) << one;
    ASSERT_LE(out.size(), wire::JsonCheck::kMaxDigits + 2) << one;
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(refused, 500);
}

TEST_F(Json, and_one_that_is_refused_is_long_or_nothing) {
  for (int i = 0; i < 4000; ++i) {
    std::string one = number();
    if (written(one))
      continue;
    bool zero = one.find_first_of("123456789") >= one.find_first_of("eE");
    bool leading = one.starts_with("0") || one.starts_with("-0");  // their zeros count too
    std::string out = zero || leading ? "SQLSTATE" : as_jsonb(one);
    ASSERT_TRUE(out.starts_with("SQLSTATE") || out.size() > wire::JsonCheck::kMaxDigits)
        << one << ": " << out;
  }
}

TEST_F(Json, a_document_is_as_long_as_we_say) {
  int compared = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string one = value(4);
    auto length = written(one);
    if (!length)
      continue;
    std::string out = as_jsonb(one);
    ASSERT_FALSE(out.starts_with("SQLSTATE")) << one << ": " << out;
    ASSERT_LE(out.size(), *length) << one << "\n" << out;
    bool exponents = one.find_first_of("eE") != std::string::npos || one.find("-0") != std::string::npos;
    if (!exponents) {
      ASSERT_EQ(out.size(), *length) << one << "\n" << out;
      ++compared;
    }
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace await
