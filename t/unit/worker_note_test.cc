#include <gtest/gtest.h>

#include "worker/note.h"

namespace await::worker {
namespace {

std::string progress_of(std::string_view line) {
  auto note = parse_note(line);
  return note && !note->type ? *note->data : "(not progress)";
}

TEST(WorkerNote, progress_keeps_its_spelling) {
  for (const char *line : {R"({"done":0.1})", R"({"done":1e400})", R"({"done":12345678901234567890})",
                           R"({"a": 1.50, "type": 5})", R"({})"})
    EXPECT_EQ(progress_of(line), line);
}

TEST(WorkerNote, an_event_has_a_type_data_and_an_id) {
  auto note = parse_note(R"( {"type": "st\u0065p", "data": {"n": 0.10}, "id": "e\n1", "x": 1} )");
  ASSERT_TRUE(note && note->type);
  EXPECT_EQ(*note->type, "step");
  EXPECT_EQ(note->data, R"({"n": 0.10})");
  EXPECT_EQ(note->id, "e\n1");
  EXPECT_EQ(parse_note(R"({"type":"a","id":17})")->id, "17");
  EXPECT_EQ(parse_note(R"({"type":"a","id":null})")->id, std::nullopt);
  EXPECT_EQ(parse_note(R"({"type":"a"})")->data, std::nullopt);
  EXPECT_EQ(parse_note(R"({"type":"a","type":"b"})")->type, "b");
  EXPECT_EQ(parse_note(R"({"type":""})")->type, "");
  EXPECT_EQ(parse_note(R"({"t\u0079pe":"a"})")->type, "a");
}

TEST(WorkerNote, texts_are_repaired) {
  const std::string bad = "\xef\xbf\xbd";
  struct {
    std::string line, repaired;
  } cases[] = {
      {"{\"a\":\"\xff\"}", "{\"a\":\"" + bad + "\"}"},
      {std::string("{\"a\":\"x\0y\"}", 11), "{\"a\":\"x" + bad + "y\"}"},
      {R"({"a":"\u0000"})", R"({"a":"\ufffd"})"},
      {R"({"a":"\\u0000"})", R"({"a":"\\u0000"})"},
      {R"({"a":"\ud83e\uddb6"})", R"({"a":"\ud83e\uddb6"})"},
      {R"({"a":"\ud83e."})", R"({"a":"\ufffd."})"},
      {R"({"a":"\uddb6\ud83e"})", R"({"a":"\ufffd\ufffd"})"},
      {R"({"a":"\ud83e\u0041"})", R"({"a":"\ufffd\u0041"})"},
      {"{\"a\":\"\t\x1b[1m\"}", R"({"a":"\u0009\u001b[1m"})"},
  };
  for (const auto &one : cases)
    EXPECT_EQ(progress_of(one.line), one.repaired) << one.line;
}

TEST(WorkerNote, what_is_no_json_object_is_no_note) {
  for (std::string_view line : {"", " ", "text", "[1]", "1", "\"a\"", "{", "{\"a\":}", "{\"a\":\"\\",
                                "{\"a\":\"\\u00", "{\"a\":\"\\ud83e", "{} {}", "{\"a\":01}", "\xff{}"})
    EXPECT_FALSE(parse_note(line)) << line;
}

}  // namespace
}  // namespace await::worker
