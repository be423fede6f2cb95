#include <gtest/gtest.h>
#include <unistd.h>

#include "core/ports.h"
#include "core/upload.h"
#include "io/poll_loop.h"
#include "redis/connection.h"
#include "wire/form_fields.h"

namespace await {
namespace {

TEST(PollLoop, tells_readiness_until_it_is_taken) {
  io::PollLoop loop;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  int told = 0;
  auto watch = loop.watch(ends[0], [&] { ++told; });
  watch->want(true, false);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_TRUE(loop.run_until([&] { return told == 2; }, 5000)) << "level-triggered";
  watch->want(false, false);
  loop.round(0);
  EXPECT_EQ(told, 2);
  watch.reset();
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(PollLoop, timers_fire_once_and_may_be_destroyed_by_what_they_do) {
  io::PollLoop loop;
  std::unique_ptr<io::Timer> timer;
  int fired = 0;
  timer = loop.timer(
      [&] {
        ++fired;
        timer.reset();
      },
      io::Loop::Quit::may);
  timer->set(1);
  EXPECT_TRUE(loop.run_until([&] { return fired == 1; }, 5000));
  loop.round(5);
  EXPECT_EQ(fired, 1);
}

struct CountTask : io::Task {
  void run() noexcept override { ++runs; }
  int runs = 0;
};

TEST(PollLoop, a_destroyed_task_is_not_run) {
  io::PollLoop loop;
  CountTask kept;
  {
    CountTask gone;
    loop.post(gone);
    loop.post(kept);
  }
  loop.round(0);
  EXPECT_EQ(kept.runs, 1);
}

TEST(RedisUrl, takes_what_it_says) {
  auto full = redis::parse_url("redis://me:p%40ss@10.0.0.1:7000/3");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password, "p@ss");
  EXPECT_EQ(full->host, "10.0.0.1");
  EXPECT_EQ(full->port, 7000);
  EXPECT_EQ(full->database, 3);
  EXPECT_EQ(redis::parse_url("redis://[::1]:1")->host, "::1");
  EXPECT_EQ(redis::parse_url("unix:/run/redis.sock")->path, "/run/redis.sock");
  EXPECT_EQ(redis::parse_url("redis://:secret@h")->password, "secret");
  for (const char *bad :
       {"", "h:1", "redis://", "redis://h:0", "redis://h:x", "redis://h/x", "unix:", "rediss://h"})
    EXPECT_FALSE(redis::parse_url(bad)) << bad;
}

struct FakePayloads : core::Payloads {
  void put(const Uuid &, int n, std::int64_t pos, std::string_view bytes, core::Reply<Done> &reply) override {
    EXPECT_EQ(n, pieces++);
    EXPECT_EQ(pos, static_cast<std::int64_t>(stored.size()));
    EXPECT_TRUE(waiting.empty()) << "one unacknowledged at a time";
    stored += bytes;
    waiting.push_back(reply);
  }
  void get(const Uuid &, int, std::int64_t, core::Reply<core::Piece> &) override {}
  void drop(const Uuid &) override { ++drops; }
  int pieces = 0;
  int drops = 0;
  std::string stored;
  List<core::Reply<Done>> waiting;
};

struct UploadTest : testing::Test {
  void progressed(Result<Done> outcome) { outcome ? ++progress : ++errors; }
  FakePayloads payloads;
  int progress = 0;
  int errors = 0;
  std::unique_ptr<core::Upload> upload = std::make_unique<core::Upload>(
      payloads, Uuid(), core::Callback<Result<Done>>::to<&UploadTest::progressed>(this));
};

TEST_F(UploadTest, small_ones_stay_inline) {
  upload->append(std::string(65536, 'x'));
  EXPECT_TRUE(upload->finish());
  EXPECT_EQ(upload->take_inline()->size(), 65536U);
  upload.reset();
  EXPECT_EQ(payloads.drops, 0);
}

TEST_F(UploadTest, large_ones_go_by_pieces_at_the_pace_of_the_store) {
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

TEST_F(UploadTest, an_error_is_told) {
  upload->append(std::string(300'000, 'x'));
  payloads.waiting.front()->deliver(Error{Code::unavailable, "x"});
  EXPECT_EQ(errors, 1);
}

TEST(FormFields, become_strings_and_arrays) {
  wire::FormFields fields;
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

}  // namespace
}  // namespace await
