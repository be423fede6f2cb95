#include <gtest/gtest.h>

#include "core/upload.h"

namespace await::core {
namespace {

struct FakePayloads : Payloads {
  void put(const Uuid &, int n, std::int64_t pos, std::string_view bytes, Reply<Done> &reply) override {
    EXPECT_EQ(n, pieces++);
    EXPECT_EQ(pos, static_cast<std::int64_t>(stored.size()));
    EXPECT_TRUE(waiting.empty()) << "one unacknowledged at a time";
    stored += bytes;
    waiting.push_back(reply);
  }
  void get(const Uuid &, int, std::int64_t, Reply<Chunk> &) override {}
  void drop(const Uuid &) override { ++drops; }
  int pieces = 0;
  int drops = 0;
  std::string stored;
  List<Reply<Done>> waiting;
};

struct UploadTest : testing::Test {
  void progressed(Result<Done> outcome) { outcome ? ++progress : ++errors; }
  FakePayloads payloads;
  int progress = 0;
  int errors = 0;
  std::unique_ptr<Upload> upload =
      std::make_unique<Upload>(payloads, Uuid(), Callback<Result<Done>>::to<&UploadTest::progressed>(this));
};

TEST_F(UploadTest, a_small_payload_stays_in_memory) {
  upload->append(std::string(65536, 'x'));
  EXPECT_TRUE(upload->finish());
  EXPECT_EQ(upload->take_inline()->size(), 65536U);
  upload.reset();
  EXPECT_EQ(payloads.drops, 0);
}

TEST_F(UploadTest, a_large_payload_is_stored_in_chunks_at_the_pace_of_the_store) {
  std::string sent;
  auto give = [&](std::size_t n) {
    std::string bytes(n, static_cast<char>('a' + sent.size() % 26));
    sent += bytes;
    upload->append(bytes);
  };
  while (sent.size() < 300'000)
    give(10'000);
  EXPECT_EQ(payloads.pieces, 1);
  EXPECT_FALSE(upload->full());
  while (!upload->full())
    give(10'000);
  payloads.waiting.front()->deliver(Done{});
  EXPECT_EQ(progress, 1) << "there is room again";
  EXPECT_EQ(payloads.pieces, 2);
  give(5);
  EXPECT_FALSE(upload->finish());
  payloads.waiting.front()->deliver(Done{});
  EXPECT_FALSE(upload->finished());
  payloads.waiting.front()->deliver(Done{});
  EXPECT_TRUE(upload->finished());
  EXPECT_EQ(payloads.stored, sent);
  EXPECT_FALSE(upload->take_inline());
  EXPECT_EQ(upload->size(), static_cast<std::int64_t>(sent.size()));
  upload.reset();
  EXPECT_EQ(payloads.drops, 1) << "nobody kept it";
}

TEST_F(UploadTest, an_error_of_the_store_is_reported) {
  upload->append(std::string(300'000, 'x'));
  payloads.waiting.front()->deliver(Error{Code::unavailable, "x"});
  EXPECT_EQ(errors, 1);
}

}  // namespace
}  // namespace await::core
