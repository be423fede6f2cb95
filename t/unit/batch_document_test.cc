#include "wire/batch_document.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

core::Batch batch() {
  core::Batch out;
  out.id = *Uuid::parse("018f0000-0000-8abc-8000-0000000000ff");
  out.state = core::State::processing;
  out.seq = 4;
  out.correlation_id = "c";
  out.phases = R"(["a", "b"])";
  out.created_at = 1'700'000'000'000;
  out.updated_at = 1'700'000'001'000;
  out.totals =
      R"({"total": 3, "done": 1, "open": 2, "completed": 1, "failed": 0, "cancelled": 0, "expired": 0,
          "processing": 1, "failures": [], "phases": {"b": {"total": 3, "done": 1, "open": 2, "completed": 1,
          "failed": 0, "cancelled": 0, "expired": 0}, "a": {"total": 0}}})";
  return out;
}

TEST(BatchDocument, of_a_batch_in_progress) {
  EXPECT_EQ(
      encode_batch(batch(), R"({"id":1},{"id":2})", {"/b/1", "/b/1/events"}, "C", "N"),
      R"({"id":"018f0000-0000-8abc-8000-0000000000ff","state":"processing","status":"processing","ready":false,)"
      R"("seq":4,"correlation_id":"c","totals":{"total":3,"done":1,"open":2,"completed":1,"failed":0,)"
      R"("cancelled":0,"expired":0,"pending":1,"processing":1},"phases":{"a":{"total":0,"done":0,"open":0,"completed":0,"failed":0,)"
      R"("cancelled":0,"expired":0},"b":{"total":3,"done":1,"open":2,)"
      R"("completed":1,"failed":0,"cancelled":0,"expired":0}},)"
      R"("summary":{"completed":1,"failed":0,"cancelled":0,"expired":0,"failures":[]},)"
      R"("created_at":"2023-11-14T22:13:20.000Z","updated_at":"2023-11-14T22:13:21.000Z","finished_at":null,)"
      R"("cursor":"C","jobs":[{"id":1},{"id":2}],"next":"N","links":{"self":"/b/1","events":"/b/1/events"}})");
}

TEST(BatchDocument, status_says_how_a_ready_batch_went) {
  core::Batch one = batch();
  auto status = [&](core::State state, const char *totals) {
    one.state = state;
    one.totals = totals;
    return batch_status(one);
  };
  EXPECT_EQ(status(core::State::completed, R"({"total":2,"completed":2})"), "completed");
  EXPECT_EQ(status(core::State::completed, R"({"total":2,"completed":1,"failed":1})"),
            "completed_with_failures");
  EXPECT_EQ(status(core::State::completed, R"({"total":2,"completed":0,"failed":1})"), "failed");
  EXPECT_EQ(status(core::State::cancelled, R"({"total":2,"completed":1})"), "cancelled");
}

TEST(BatchDocument, what_failed_is_in_the_summary) {
  core::Batch one = batch();
  one.state = core::State::completed;
  one.phases.reset();
  one.totals = R"({"total":1,"failed":1,"failures":[{"id":"x","title":"\u00e9 \"q\""}]})";
  std::string text = encode_batch(one, "", {}, "", "");
  EXPECT_NE(text.find("\"failures\":[{\"id\":\"x\",\"title\":\"\xc3\xa9 \\\"q\\\"\"}]"), text.npos) << text;
  EXPECT_NE(text.find(R"("phases":null)"), text.npos);
  EXPECT_NE(text.find(R"("jobs":[],"next":null)"), text.npos);
  EXPECT_NE(text.find(R"("finished_at":"2023)"), text.npos);
}

TEST(BatchDocument, a_cursor_is_of_one_batch) {
  Uuid id = batch().id;
  Uuid job = *Uuid::parse("018f0000-0000-7abc-8000-000000000001");
  std::string cursor = encode_jobs_cursor(id, job);
  EXPECT_EQ(decode_jobs_cursor(cursor, id), job);
  EXPECT_FALSE(decode_jobs_cursor(cursor, *Uuid::parse("018f0000-0000-8abc-8000-0000000000fe")));
  for (const std::string &bad :
       {std::string(), std::string("x"), cursor + "A", std::string(1000, 'A'), cursor.substr(1)})
    EXPECT_FALSE(decode_jobs_cursor(bad, id)) << bad;
}

}  // namespace
}  // namespace await::wire
