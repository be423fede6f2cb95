#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/ended_job_ring.h"
#include "unit/core_fakes.h"

namespace await::core {
namespace {

Job ended_job(int n, std::size_t body) {
  Job job;
  job.id = id(n);
  job.queue = "q";
  job.state = State::completed;
  job.seq = 3;
  job.owner = "ann";
  job.progress = "{}";
  job.result = JobResult{
      201, 2, "text/plain", "a b.txt", static_cast<std::int64_t>(body), true, Bytes(std::string(body, 'x'))};
  return job;
}

struct EndedJobRingTest : testing::Test {
  EndedJobRingTest() : bytes(8192) {}
  std::span<std::byte> memory() { return std::as_writable_bytes(std::span(bytes)); }
  std::vector<std::uint64_t> bytes;
};

TEST_F(EndedJobRingTest, a_stored_job_is_found_unchanged) {
  EndedJobRing ring(memory());
  ring.keep(ended_job(1, 500), ResultDetail::body, 7);
  auto found = ring.find(id(1), ResultDetail::json_value, 7);
  ASSERT_TRUE(found);
  EXPECT_EQ(pack_job(*found), pack_job(ended_job(1, 500)));
  EXPECT_EQ(found->result->body->view(), std::string(500, 'x'));
  EXPECT_FALSE(ring.find(id(2), ResultDetail::none, 7));
  EXPECT_FALSE(ring.find(id(1), ResultDetail::none, 8)) << "on another line of history it says nothing";
  EndedJobRing second(memory());
  EXPECT_TRUE(second.find(id(1), ResultDetail::body, 7)) << "another process sees it";
}

TEST_F(EndedJobRingTest, a_job_stored_without_its_body_is_not_found_when_the_body_is_wanted) {
  EndedJobRing ring(memory());
  ring.keep(ended_job(1, 10), ResultDetail::json_value, 7);
  EXPECT_TRUE(ring.find(id(1), ResultDetail::json_value, 7));
  EXPECT_FALSE(ring.find(id(1), ResultDetail::body, 7));
  ring.keep(ended_job(1, 10), ResultDetail::body, 7);
  EXPECT_TRUE(ring.find(id(1), ResultDetail::body, 7));
}

TEST_F(EndedJobRingTest, the_oldest_entries_are_overwritten) {
  EndedJobRing ring(memory());
  int there = 0;
  for (int n = 1; n <= 3000; ++n) {
    ring.keep(ended_job(n, static_cast<std::size_t>(n * 37 % 1500)), ResultDetail::body, 7);
    EXPECT_TRUE(ring.find(id(n), ResultDetail::body, 7)) << n;
  }
  for (int n = 1; n <= 3000; ++n) {
    auto found = ring.find(id(n), ResultDetail::body, 7);
    if (!found)
      continue;
    ++there;
    EXPECT_EQ(pack_job(*found), pack_job(ended_job(n, static_cast<std::size_t>(n * 37 % 1500)))) << n;
  }
  EXPECT_GT(there, 8);
  EXPECT_LT(there, 300);
  ring.keep(ended_job(5000, 30000), ResultDetail::body, 7);
  EXPECT_FALSE(ring.find(id(5000), ResultDetail::body, 7)) << "an eighth of all is the most";
}

TEST_F(EndedJobRingTest, an_interrupted_change_clears_the_ring) {
  EndedJobRing ring(memory());
  ring.keep(ended_job(1, 10), ResultDetail::body, 7);
  bytes[0] = 1;  // its first word says that somebody is at it
  EXPECT_FALSE(ring.find(id(1), ResultDetail::body, 7));
  ring.keep(ended_job(2, 10), ResultDetail::body, 7);
  EXPECT_TRUE(ring.find(id(2), ResultDetail::body, 7));
}

TEST(EndedJobRing, with_too_little_memory_nothing_is_stored) {
  alignas(8) std::array<std::byte, 64> few{};
  EndedJobRing ring(few);
  ring.keep(ended_job(1, 10), ResultDetail::body, 7);
  EXPECT_FALSE(ring.find(id(1), ResultDetail::body, 7));
}

TEST(EndedJobRing, invalid_bytes_are_rejected) {
  std::string good = pack_job(ended_job(1, 10));
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(unpack_job(std::string_view(good).substr(0, n)));
  EXPECT_FALSE(unpack_job(good + "x"));
}

}  // namespace
}  // namespace await::core
