#include <gtest/gtest.h>

#include <vector>

#include "base/list.h"

namespace await {
namespace {

struct Item : Hook<> {
  explicit Item(int n) : n(n) {}
  int n;
};

std::vector<int> numbers(List<Item> &list) {
  std::vector<int> out;
  list.each([&](Item &item) { out.push_back(item.n); });
  return out;
}

TEST(List, a_destroyed_member_is_unlinked) {
  List<Item> list;
  Item one(1);
  {
    Item two(2);
    list.push_back(one);
    list.push_back(two);
    EXPECT_EQ(numbers(list), (std::vector<int>{1, 2}));
  }
  EXPECT_EQ(numbers(list), std::vector<int>{1});
}

TEST(List, a_destroyed_list_unlinks_its_members) {
  Item item(1);
  {
    List<Item> list;
    list.push_back(item);
    EXPECT_TRUE(item.linked());
  }
  EXPECT_FALSE(item.linked());
}

TEST(List, take_all_keeps_the_order_and_push_back_moves_a_member) {
  List<Item> a;
  List<Item> b;
  Item one(1), two(2), three(3);
  a.push_back(one);
  b.push_back(two);
  b.push_back(three);
  a.take_all(b);
  EXPECT_TRUE(b.empty());
  b.push_back(one);
  EXPECT_EQ(numbers(a), (std::vector<int>{2, 3}));
  EXPECT_EQ(a.pop_front()->n, 2);
  EXPECT_EQ(b.front()->n, 1);
  a.take_all(a);
  EXPECT_EQ(numbers(a), std::vector<int>{3});
}

}  // namespace
}  // namespace await
