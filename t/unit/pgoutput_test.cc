#include "core/pgoutput.h"

#include <gtest/gtest.h>

#include "unit/pgoutput_messages.h"

namespace await::core {
namespace {

using What = PgOutput::Message::What;

const std::string kJob = "01890000-0000-7000-8000-000000000001";
const std::string kJobs = pgoutput::relation(1, "await", "job", {"class", "id", "xid"});
const std::string kEvents = pgoutput::relation(2, "await", "event", {"class", "job", "seq", "xid"});

/// A decoder that knows both tables, within the transaction 5000000007.
PgOutput begun() {
  PgOutput out;
  EXPECT_TRUE(out.decode(pgoutput::begin(static_cast<std::uint32_t>(5'000'000'007))));
  EXPECT_TRUE(out.decode(kJobs));
  EXPECT_TRUE(out.decode(kEvents));
  return out;
}

TEST(PgOutput, names_jobs_and_events_of_a_transaction) {
  PgOutput decoder = begun();
  auto job = decoder.decode(pgoutput::insert(1, {"2", kJob, "5000000007"}));
  ASSERT_TRUE(job);
  EXPECT_EQ(job->what, What::event);
  EXPECT_EQ(job->event.retention, 2);
  EXPECT_EQ(job->event.job.text(), kJob);
  EXPECT_EQ(job->event.seq, 1);
  EXPECT_EQ(job->event.xid, 5'000'000'007U);
  auto event = decoder.decode(pgoutput::insert(2, {"2", kJob, "17", "5000000007"}));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, What::event);
  EXPECT_EQ(event->event.seq, 17);
  auto commit = decoder.decode(pgoutput::commit(4711));
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->what, What::commit);
  EXPECT_EQ(commit->end, 4711U);
}

TEST(PgOutput, columns_may_stand_in_any_order) {
  PgOutput decoder = begun();
  ASSERT_TRUE(
      decoder.decode(pgoutput::relation(2, "await", "event", {"xid", "data", "seq", "job", "x", "class"})));
  auto event = decoder.decode(pgoutput::insert(2, {"5000000007", "{}", "3", kJob, "", "0"}));
  ASSERT_TRUE(event) << event.error().detail;
  EXPECT_EQ(event->event.seq, 3);
  EXPECT_EQ(event->event.job.text(), kJob);
}

TEST(PgOutput, rows_of_a_restored_dump_are_ignored) {
  PgOutput decoder = begun();
  auto event = decoder.decode(pgoutput::insert(2, {"2", kJob, "17", "5000000006"}));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, What::other) << "their transaction is another one than that which inserts them";
}

TEST(PgOutput, other_tables_and_messages_are_ignored) {
  PgOutput decoder = begun();
  ASSERT_TRUE(decoder.decode(pgoutput::relation(3, "public", "event", {"a"})));
  ASSERT_TRUE(decoder.decode(pgoutput::relation(4, "await", "chunk", {"a"})));
  for (const std::string &ignored :
       {pgoutput::insert(3, {"x"}), pgoutput::insert(4, {"x"}), std::string("M12345"), std::string("O"),
        std::string("Y"), std::string("T"), std::string("D")}) {
    auto message = decoder.decode(ignored);
    ASSERT_TRUE(message) << ignored;
    EXPECT_EQ(message->what, What::other);
  }
}

TEST(PgOutput, malformed_messages_are_errors) {
  auto refused = [](const std::string &message) {
    PgOutput decoder = begun();
    return !decoder.decode(message);
  };
  for (const std::string &whole :
       {pgoutput::insert(1, {"2", kJob, "5000000007"}), kJobs, pgoutput::commit(5)}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_TRUE(refused(whole.substr(0, size))) << whole[0] << size;
    EXPECT_TRUE(refused(whole + "x")) << whole[0];
  }
  EXPECT_TRUE(refused("Z"));
  EXPECT_TRUE(refused(pgoutput::begin(8))) << "a transaction within another";
  EXPECT_TRUE(refused(pgoutput::insert(9, {"2", kJob, "5000000007"}))) << "a table that was not described";
  EXPECT_TRUE(refused(pgoutput::insert(1, {"4", kJob, "5000000007"}))) << "no such retention class";
  EXPECT_TRUE(refused(pgoutput::insert(1, {"2", "x", "5000000007"})));
  EXPECT_TRUE(refused(pgoutput::insert(1, {"2", kJob, "-7"})));
  EXPECT_TRUE(refused(pgoutput::insert(1, {"2", kJob})));
  EXPECT_TRUE(refused(pgoutput::insert(2, {"2", kJob, "1", "5000000007"}))) << "seq 1 is the job itself";
  EXPECT_TRUE(refused(pgoutput::insert(2, {"2", kJob, "2147483648", "5000000007"})));
  EXPECT_TRUE(refused(pgoutput::relation(1, "await", "event", {"class", "job", "xid"}))) << "without seq";
  EXPECT_FALSE(PgOutput().decode(pgoutput::commit(5))) << "a commit without a beginning";
  EXPECT_FALSE(PgOutput().decode(pgoutput::insert(1, {"2", kJob, "7"}))) << "a row outside of a transaction";
}

TEST(PgOutput, the_number_of_tables_is_bounded) {
  PgOutput decoder;
  std::uint32_t known = 0;
  while (known < 100'000 && decoder.decode(pgoutput::relation(known, "s", "t", {"a"})))
    ++known;
  EXPECT_LT(known, 10'000U);
}

}  // namespace
}  // namespace await::core
