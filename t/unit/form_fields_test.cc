#include <gtest/gtest.h>

#include "wire/form_fields.h"

namespace await::wire {
namespace {

TEST(FormFields, single_fields_become_strings_and_repeated_ones_arrays) {
  FormFields fields;
  auto add = [&](const char *name, const char *value) {
    fields.open(name);
    EXPECT_TRUE(fields.append(value));
    EXPECT_EQ(fields.close(), nullptr);
  };
  add("a", "1");
  add("b", "x\"y");
  add("a", "2");
  EXPECT_EQ(fields.json(), R"({"a":["1","2"],"b":"x\"y"})");
  fields.open("c");
  EXPECT_FALSE(fields.append(std::string(70'000, 'x')));
}

TEST(FormFields, empty_fields_count_towards_the_limit) {
  // a field without a value was never looked at, and each was looked for among all before it
  FormFields fields;
  std::size_t taken = 0;
  while (taken < 5000 && fields.open(std::to_string(taken)))
    ++taken;
  EXPECT_EQ(taken, FormFields::kMaxFields);
}

TEST(FormFields, each_use_of_a_name_counts_towards_the_limit) {
  FormFields fields;
  std::size_t taken = 0;
  while (taken < 5000 && fields.open("a"))
    ++taken;
  EXPECT_EQ(taken, FormFields::kMaxFields);
}

TEST(FormFields, names_count_towards_the_limit_as_values_do) {
  FormFields fields;
  std::size_t taken = 0;
  while (taken < 100 && fields.open(std::string(8000, 'n') + std::to_string(taken)))
    ++taken;
  EXPECT_EQ(taken, 8U);
  FormFields other;
  ASSERT_TRUE(other.open("a"));
  EXPECT_TRUE(other.append(std::string(FormFields::kMax - 17, 'v')));
  EXPECT_FALSE(other.append("v"));
}

TEST(FormFields, the_order_of_fields_is_kept) {
  FormFields fields;
  for (const char *name : {"b", "a", "b", "c"}) {
    ASSERT_TRUE(fields.open(name));
    ASSERT_TRUE(fields.append(name));
  }
  EXPECT_EQ(fields.json(), R"({"b":["b","b"],"a":"a","c":"c"})");
}

}  // namespace
}  // namespace await::wire
