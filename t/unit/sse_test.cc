#include <gtest/gtest.h>

#include "wire/sse.h"

namespace await::wire {
namespace {

TEST(Sse, line_breaks_in_data_cannot_start_another_field) {
  EXPECT_EQ(sse_frame("1", "x", "a\nb\r\nc\rid: 2"),
            "id: 1\nevent: x\ndata: a\ndata: b\ndata: c\ndata: id: 2\n\n");
  EXPECT_EQ(sse_frame("", "", ""), "data: \n\n");
}

TEST(Sse, only_what_has_data_ends_with_a_blank_line) {
  EXPECT_EQ(sse_retry(1500), "retry: 1500\n");
  EXPECT_EQ(kSseComment, ":\n");
}

}  // namespace
}  // namespace await::wire
