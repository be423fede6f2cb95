#include "wire/batch_parser.h"

#include <gtest/gtest.h>

namespace await::wire {
namespace {

using Form = BatchParser::Form;
using Step = BatchParser::Step;

std::string show(const BatchJob &job) {
  std::string out = "[" + job.queue.value_or("-") + "|" + job.phase.value_or("-") + "|" + job.payload + "|" +
                    job.content_type + "|" + job.file_name.value_or("-") + "|" + job.params.value_or("-");
  auto number = [&](const char *name, auto value) {
    if (value)
      out += std::string("|") + name + std::to_string(*value);
  };
  number("p", job.priority);
  number("d", job.delay_ms);
  number("e", job.deadline_ms);
  number("l", job.lease_ms);
  number("a", job.max_attempts);
  return out + "]";
}

BatchOptions all_options() {
  BatchOptions all = 0;
  for (const char *name : {"priority", "delay", "deadline", "lease", "max_attempts"})
    all |= batch_option(name);
  return all;
}

/// The jobs of a body, and the fault if it has one.
std::string parse(std::string_view body, Form form, std::size_t step, BatchOptions allowed) {
  BatchParser parser(form, allowed);
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += step) {
    std::string_view piece = body.substr(at, step);
    while (!piece.empty()) {
      Step what = parser.next(piece);
      if (what == Step::fault)
        return out + (parser.fault().too_much ? "413 " : "") + parser.fault().text();
      if (what == Step::job)
        out += show(parser.job());
    }
  }
  return out + (parser.finish() ? "" : parser.fault().text());
}

/// The same, for all ways to cut the body in pieces of one size, and in two pieces.
std::string parse(std::string_view body, Form form = Form::object, BatchOptions allowed = all_options()) {
  std::string whole = parse(body, form, body.size() + 1, allowed);
  for (std::size_t step = 1; step <= body.size(); ++step)
    EXPECT_EQ(parse(body, form, step, allowed), whole) << "cut at " << step << ": " << body;
  return whole;
}

std::string lines(std::string_view body) { return parse(body, Form::lines); }
/// The fault of the only job with these members.
std::string job(const std::string &members) { return parse("{\"jobs\":[{" + members + "}]}"); }

TEST(BatchParser, takes_the_jobs_of_an_object_one_by_one) {
  EXPECT_EQ(
      parse(R"( {"jobs" : [ {"payload": {"a": [1, "}"]} } ,{"queue":"q","phase":"p","payload":null}] } )"),
      R"([-|-|{"a": [1, "}"]}|application/json|-|-][q|p|null|application/json|-|-])");
}

TEST(BatchParser, takes_lines) {
  const char *both = R"([-|-|1|application/json|-|-][-|-|"x"|application/json|-|-])";
  EXPECT_EQ(lines("{\"payload\":1}\n{\"payload\":\"x\"}\n"), both);
  EXPECT_EQ(lines("\n\r\n{\"payload\":1}\r\n\n  {\"payload\":\"x\"}"), both)
      << "empty lines, no last line feed";
}

TEST(BatchParser, a_payload_keeps_the_bytes_that_were_sent) {
  EXPECT_EQ(job(R"("payload": 1.000000000000000000000000000001e999 )"),
            "[-|-|1.000000000000000000000000000001e999|application/json|-|-]");
  EXPECT_EQ(job(R"("payload":{"b":1,"b":2, "a":"\u0000"},"content_type":"application/ld+json")"),
            R"([-|-|{"b":1,"b":2, "a":"\u0000"}|application/ld+json|-|-])");
}

TEST(BatchParser, base64_stands_for_bytes) {
  EXPECT_EQ(job(R"("payload_base64":"aGk=")"), "[-|-|hi|application/octet-stream|-|-]");
  EXPECT_EQ(job(R"("payload_base64":"\u002B\/8=","content_type":"image/png","file_name":"C:\\a.png")"),
            "[-|-|\xfb\xff|image/png|a.png|-]")
      << "some encoders escape a plus sign, others a slash";
  EXPECT_EQ(job(R"("payload_base64":"")"), "[-|-||application/octet-stream|-|-]");
  std::string why =
      "Job 1, at byte 28: \"payload_base64\" must be a string in base64 (RFC 4648 section 4), with its "
      "padding.";
  for (const char *bad : {"aGk", "aGk=\\n", "aGl=", "a===", "====", "a-k=", "=aGk", "aG=k", "a\xc3\xa9k="})
    EXPECT_EQ(job(std::string("\"payload_base64\": \"") + bad + "\""), why) << bad;
  EXPECT_EQ(job(R"("payload_base64": [])"), why);
}

TEST(BatchParser, options_are_taken_where_they_are_allowed) {
  const char *all = R"("payload":1,"priority":-5,"delay":0.25,"deadline":3600,"lease":30,"max_attempts":3)";
  EXPECT_EQ(job(all), "[-|-|1|application/json|-|-|p-5|d250|e3600000|l30000|a3]");
  EXPECT_EQ(parse("{\"jobs\":[{\"payload\":1,\"priority\":null,\"phase\":null,\"params\":{\"x\":1}}]}"),
            R"([-|-|1|application/json|-|{"x":1}])")
      << "null is as if it were not there";
  EXPECT_EQ(parse("{\"jobs\":[{\"payload\":1,\"priority\":1}]}", Form::object, batch_option("delay")),
            "Job 1, at byte 22: \"priority\" is not for clients to choose here.");
  EXPECT_EQ(batch_option("queue"), 0U) << "no option";
  EXPECT_EQ(batch_option("payload_base6"), 0U) << "no member";
}

TEST(BatchParser, values_that_are_not_what_they_should_be) {
  auto wrong = [](const std::string &name, const std::string &value) {
    std::string said = job("\"payload\":1,\"" + name + "\":" + value);
    std::string where = "Job 1, at byte " + std::to_string(25 + name.size()) + ": \"" + name + "\" ";
    EXPECT_TRUE(said.starts_with(where)) << said;
    return said.substr(std::min(where.size(), said.size()));
  };
  for (const char *bad : {"1", "\"\"", "\"a b\"", "\"\\u00e9\"", "{}", "\"\\u0000\""}) {
    EXPECT_EQ(wrong("queue", bad), "must be a string of 1 to 64 characters of A-Z a-z 0-9 _ . -.");
    EXPECT_EQ(wrong("phase", bad), "must be a string of 1 to 64 characters of A-Z a-z 0-9 _ . -.");
  }
  wrong("queue", "\"" + std::string(65, 'q') + "\"");
  for (const char *bad : {"1", "\"\"", "\"text\"", "\"text/\\n\""})
    EXPECT_EQ(wrong("content_type", bad), "must be a string in the form type/subtype, of at most 255 bytes.");
  for (const char *bad : {"1", "\"\"", "\"a/\"", "\"a\\u0000b\"", "\"\\n\""})
    EXPECT_EQ(wrong("file_name", bad), "must be a string of 1 to 255 bytes without control characters.");
  EXPECT_EQ(wrong("params", "[]"), "must be an object.");
  EXPECT_EQ(wrong("params", "{\"a\":1e999}"), "has a number of more than 400 digits when written out.");
  EXPECT_EQ(wrong("params", R"({"a":"\\\u0000"})"), "contains a NUL character.");
  EXPECT_EQ(job(R"("payload":1,"params":{"a":"\\u0000"})"), R"([-|-|1|application/json|-|{"a":"\\u0000"}])");
  for (const char *bad : {"1.5", "101", "\"1\"", "1e1", "99999999999999999999999", "-101", "true"})
    EXPECT_EQ(wrong("priority", bad), "must be a whole number between -100 and 100.");
  for (const char *bad : {"0", "1001", "-1", "1.0"})
    EXPECT_EQ(wrong("max_attempts", bad), "must be a whole number between 1 and 1000.");
  for (const char *bad : {"0", "-1", "1e3", "0.0001", "31536000.001", "99999999999999999999", "\"30s\""})
    EXPECT_EQ(wrong("delay", bad),
              "must be a number of seconds between 0.001 and 31536000, with at most three decimals.");
  wrong("lease", "86401");
  wrong("deadline", "0.5");
}

TEST(BatchParser, elements_that_are_no_jobs) {
  EXPECT_EQ(parse(R"({"jobs":[{"payload":1},2]})"),
            "[-|-|1|application/json|-|-]Job 2, at byte 23: a job must be an object.");
  EXPECT_EQ(job(""),
            "Job 1, at byte 9: \"payload\" is missing; for bytes that are not JSON use \"payload_base64\".");
  EXPECT_EQ(job(R"("payload":1,"payload_base64":"")"),
            "Job 1, at byte 9: \"payload\" and \"payload_base64\" exclude each other.");
  EXPECT_EQ(job(R"("payload":1,"payload":2)"), "Job 1, at byte 22: \"payload\" is there twice.");
  EXPECT_EQ(job(R"("payload":1,"phase":null,"phase":"a")"), "Job 1, at byte 35: \"phase\" is there twice.");
  EXPECT_EQ(job(R"("payload":1,"pay\"load":2)"), "Job 1, at byte 22: unknown member \"pay\\\"load\".");
  EXPECT_EQ(
      job(R"("payload":"x","content_type":"text/plain")"),
      "Job 1, at byte 9: \"payload\" is JSON, but the \"content_type\" is not; use \"payload_base64\".");
  EXPECT_EQ(job(R"("payload_base64":"aGk=","content_type":"application/json")"),
            "Job 1, at byte 9: \"payload_base64\" is not JSON, but the \"content_type\" is.");
  EXPECT_EQ(job(R"("payload":1,"deadline":5,"delay":5)"),
            "Job 1, at byte 9: \"deadline\" must be longer than \"delay\", the job would expire before it "
            "can be claimed.");
}

TEST(BatchParser, text_that_is_no_json) {
  EXPECT_EQ(job("\"payload\":\"a\xff\""), "Job 1, at byte 22: invalid UTF-8.");
  EXPECT_EQ(job(std::string("\"payload\":\"a\0\"", 13)), "Job 1, at byte 22: control character in a string.");
  EXPECT_EQ(job(R"("payload":01)"), "Job 1, at byte 21: number with a leading zero.");
  EXPECT_EQ(job("\"payload\":" + std::string(600, '[')), "Job 1, at byte 531: nested too deeply.");
  EXPECT_EQ(job(R"("payload":"\ud800")"), "Job 1, at byte 27: unpaired surrogate.");
}

TEST(BatchParser, what_is_around_the_jobs) {
  EXPECT_EQ(parse(""), "At byte 0: the batch has no jobs.");
  EXPECT_EQ(parse("  "), "At byte 2: the body is truncated.");
  EXPECT_EQ(parse("[]"), "At byte 0: the body must be an object with the member \"jobs\".");
  EXPECT_EQ(parse("{}"), "At byte 1: the member \"jobs\" is missing.");
  EXPECT_EQ(parse(R"({"job":[]})"), "At byte 1: unknown member \"job\"; a batch has only \"jobs\".");
  EXPECT_EQ(parse("{\"" + std::string(100, 'k')),
            "At byte 1: unknown member \"" + std::string(64, 'k') + "\"; a batch has only \"jobs\".");
  EXPECT_EQ(parse(R"({"jobs" []})"), "At byte 8: a colon is missing.");
  EXPECT_EQ(parse(R"({"jobs":{}})"), "At byte 8: \"jobs\" must be an array.");
  EXPECT_EQ(parse(R"({"jobs":[]})"), "At byte 11: the batch has no jobs.");
  std::string one = R"({"jobs":[{"payload":1})";
  std::string first = "[-|-|1|application/json|-|-]";
  EXPECT_EQ(parse(one), first + "At byte 22: the body is truncated.");
  EXPECT_EQ(parse(one + "{"), first + "At byte 22: a comma is missing.");
  EXPECT_EQ(parse(one + ",]}"), first + "Job 2, at byte 23: a job must be an object.");
  EXPECT_EQ(parse(one + "]"), first + "At byte 23: the body is truncated.");
  EXPECT_EQ(parse(one + "],\"jobs\":[]}"), first + "At byte 24: \"jobs\" is there twice.");
  EXPECT_EQ(parse(one + "],}"), first + "At byte 24: a name of a member is missing.");
  EXPECT_EQ(parse(one + "]} x"), first + "At byte 25: unexpected data after the end.");
  EXPECT_EQ(parse(one + "]}{"), first + "At byte 24: unexpected data after the end.");
  EXPECT_EQ(parse(one.substr(0, 15)), "Job 1, at byte 15: the body is truncated.");
}

TEST(BatchParser, lines_that_are_no_jobs) {
  std::string first = "[-|-|1|application/json|-|-]";
  EXPECT_EQ(lines(""), "At byte 0: the batch has no jobs.");
  EXPECT_EQ(lines("\n\n"), "At byte 2: the batch has no jobs.");
  EXPECT_EQ(lines("{\"payload\":1} {\"payload\":1}"), first + "At byte 14: a line must have one job.");
  EXPECT_EQ(lines("{\"payload\":1},\n"), first + "At byte 13: a line must have one job.");
  EXPECT_EQ(lines("{\"payload\":\n1}"), "Job 1, at byte 11: a job must be one line.");
  EXPECT_EQ(lines("{\"payload\":1}\n[1]\n"), first + "Job 2, at byte 14: a job must be an object.");
  EXPECT_EQ(lines("{\"payload\":1}\n{\"payload\""), first + "Job 2, at byte 24: the body is truncated.");
}

TEST(BatchParser, limits) {
  std::string many = "{\"jobs\":[{\"payload\":0}";
  for (std::size_t i = 1; i < BatchParser::kMaxJobs; ++i)
    many += ",{\"payload\":0}";
  EXPECT_TRUE(parse(many + "]}", Form::object, 1000, 0).ends_with("]")) << "10,000 jobs";
  std::string at = std::to_string(many.size() + 1);
  EXPECT_TRUE(parse(many + ",{\"payload\":0}]}", Form::object, 1000, 0)
                  .ends_with("413 Job 10001, at byte " + at + ": a batch has at most 10000 jobs."));

  std::string large = R"({"payload":")";
  large.resize(BatchParser::kMaxJob - 2, 'x');
  std::string rest = "]}";
  for (std::size_t step : {std::size_t{16384}, large.size() * 2}) {
    EXPECT_TRUE(
        parse("{\"jobs\":[" + large + "\"}]}", Form::object, step, 0).ends_with("x\"|application/json|-|-]"));
    EXPECT_EQ(parse("{\"jobs\":[" + large + "x\"}]}", Form::object, step, 0),
              "413 Job 1, at byte 1048585: the job exceeds 1 MB; send large files as multipart/form-data.");
  }
}

TEST(BatchParser, keeps_no_memory_between_large_jobs) {
  BatchParser parser(Form::lines);
  std::string body = "{\"payload\":\"" + std::string(500000, 'x') + "\"}\n";
  std::string_view piece = body;
  ASSERT_EQ(parser.next(piece), Step::job);
  EXPECT_LT(parser.held(), 1024U);
  EXPECT_EQ(parser.job_at(), 0U);
  EXPECT_EQ(parser.jobs(), 1U);
}

}  // namespace
}  // namespace await::wire
