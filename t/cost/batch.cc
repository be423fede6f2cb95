// Batches: how they are taken apart.

#include "wire/batch_parser.h"

#include "cost/measure.h"

namespace await::cost {
namespace {

using Form = wire::BatchParser::Form;

void take_batch(std::string_view body, std::size_t piece, Form form) {
  wire::BatchParser parser(form, ~0U);
  in_pieces(body, piece, [&](std::string_view bytes) {
    while (!bytes.empty()) {
      if (parser.next(bytes) == wire::BatchParser::Step::fault)
        return false;
    }
    return true;
  });
  bool whole = parser.finish();
  keep(&whole);
}

void object(std::string_view body) { take_batch(body, 16384, Form::object); }
void byte_by_byte(std::string_view body) { take_batch(body, 1, Form::object); }
void lines(std::string_view body) { take_batch(body, 16384, Form::lines); }

std::string batch(const std::string &jobs) { return "{\"jobs\":[" + jobs + "]}"; }

}  // namespace

std::vector<Case> batch_cases() {
  constexpr std::size_t kSmall = 128 * 1024;
  // the text of a job, twice while it grows, and its payload, with what jansson needs to read it
  constexpr std::size_t kLarge = std::size_t{8} << 20;
  auto small = [](std::size_t n) {
    return batch(repeat(n - 1, "{\"payload\":{\"a\":1}},") + "{\"payload\":null}");
  };
  auto full = [](std::size_t n) {
    return repeat(n, R"({"queue":"q","phase":"p","payload_base64":"aGk=","content_type":"image/png",)"
                     R"("file_name":"a.png","params":{"x":1},"priority":1,"delay":1.5,"lease":30})"
                     "\n");
  };
  auto one = [](const char *before, const char *text, const char *after) {
    return [=](std::size_t n) { return batch(std::string("{") + before + repeat(n, text) + after + "}"); };
  };
  auto spaces = [](std::size_t n) { return batch("{\"payload\":1}" + std::string(n, ' ')); };
  return {
      {"batch: small jobs", 2000, small, object, at_most(kSmall)},
      {"batch: small jobs, too many", 9000, small, object, at_most(kSmall)},
      {"batch: small jobs, byte by byte", 500, small, byte_by_byte, at_most(kSmall)},
      {"batch: lines", 500, full, lines, at_most(kSmall)},
      {"batch: empty lines", 40000, [](std::size_t n) { return repeat(n, "\r\n"); }, lines, at_most(kSmall)},
      {"batch: spaces", 40000, spaces, object, at_most(kSmall)},
      {"batch: a large payload", 100000, one("\"payload\":\"", "abcd", "\""), object, at_most(kLarge)},
      {"batch: a payload, byte by byte", 10000, one("\"payload\":\"", "abcd", "\""), byte_by_byte,
       at_most(kLarge)},
      {"batch: a payload of escapes", 50000, one("\"payload\":\"", "\\u0000", "\""), object, at_most(kLarge)},
      {"batch: a payload of arrays", 100000, one("\"payload\":[", "[],", "0]"), object, at_most(kLarge)},
      {"batch: bytes", 100000, one("\"payload_base64\":\"", "abcd", "\""), object, at_most(kLarge)},
      {"batch: bytes of escapes", 40000, one("\"payload_base64\":\"", "\\u0061\\/bc", "\""), object,
       at_most(kLarge)},
      {"batch: a member again and again", 20000, one("\"payload\":1", ",\"phase\":null", ""), object,
       at_most(kLarge)},
      {"batch: a name without an end", 40000, one("\"", "payload", ""), object, at_most(kLarge)},
      {"batch: params of escapes", 5000, one("\"payload\":1,\"params\":{\"a\":\"", "\\\\u0000", "\"}"),
       object, at_most(kLarge)},
      {"batch: a number without an end", 40000, one("\"payload\":1,\"delay\":", "99999", ""), object,
       at_most(kLarge)},
      {"batch: a file name without an end", 40000, one("\"payload\":1,\"file_name\":\"", "a/", "\""), object,
       at_most(kLarge)},
      {"batch: jobs larger than allowed", 300000, one("\"payload\":\"", "abcd", "\""), object,
       at_most(kLarge)},
  };
}

}  // namespace await::cost
