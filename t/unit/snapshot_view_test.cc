#include "core/snapshot_view.h"

#include <gtest/gtest.h>

#include <string>

namespace await::core {
namespace {

SnapshotView view(std::string_view text) {
  auto out = SnapshotView::parse(text);
  EXPECT_TRUE(out) << text;
  return out.value_or(SnapshotView());
}

TEST(SnapshotView, sees_what_PostgreSQL_says) {
  SnapshotView some = view("100:110:100,103,109");
  std::string seen;
  for (std::uint64_t xid = 98; xid < 112; ++xid)
    seen += some.sees(xid) ? '1' : '0';
  EXPECT_EQ(seen, "11011011111000");
  EXPECT_EQ(some.xmin(), 100U);
  EXPECT_TRUE(view("7:7:").sees(6));
  EXPECT_FALSE(view("7:7:").sees(7));
  EXPECT_FALSE(SnapshotView().sees(1)) << "that of nothing sees nothing";
  EXPECT_TRUE(view("5000000000:5000000002:5000000000").sees(5000000001)) << "of a later epoch";
}

TEST(SnapshotView, covers_those_before_it) {
  EXPECT_TRUE(view("100:110:100,103").covers(view("100:110:100,103"))) << "itself";
  EXPECT_TRUE(view("103:110:103").covers(view("100:110:100,103"))) << "one has ended";
  EXPECT_TRUE(view("100:120:100,103,115").covers(view("100:110:100,103"))) << "others have begun and ended";
  EXPECT_FALSE(view("100:110:100,103").covers(view("103:110:103"))) << "the other way round";
  EXPECT_FALSE(view("100:105:100,103").covers(view("100:110:100,103")));
  EXPECT_TRUE(view("3:3:").covers(SnapshotView())) << "nothing is covered by all";
  EXPECT_FALSE(SnapshotView().covers(view("3:3:")));
}

TEST(SnapshotView, covers_means_sees_all_that_the_other_sees) {
  auto nth = [](unsigned bits) {  // all snapshots within 10 … 14
    std::string running;
    for (unsigned i = 0; i < 4; ++i) {
      if ((bits >> i & 1) != 0)
        running += (running.empty() ? "" : ",") + std::to_string(10 + i);
    }
    return view("10:14:" + running);
  };
  for (unsigned one = 0; one < 16; ++one) {
    for (unsigned other = 0; other < 16; ++other) {
      bool all = true;
      for (std::uint64_t xid = 9; xid < 15; ++xid)
        all = all && (nth(one).sees(xid) || !nth(other).sees(xid));
      EXPECT_EQ(nth(one).covers(nth(other)), all) << one << " " << other;
    }
  }
}

TEST(SnapshotView, anything_else_is_refused) {
  for (const char *bad : {"",        ":",      "::",      "1",     "1:2",
                          "1:2:3",   "2:1:",   "1:5:0",   "1:5:5", "1:5:2,2",
                          "1:5:3,2", "1:5:2,", "1:5:,2",  "a:5:",  "1:b:",
                          "1:5:c",   "-1:5:",  "1:5:2:3", " 1:5:", "1:99999999999999999999:"})
    EXPECT_FALSE(SnapshotView::parse(bad)) << bad;
}

}  // namespace
}  // namespace await::core
