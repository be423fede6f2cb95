// JSON that is checked, written, searched and shaped.

#include <memory>

#include "cost/measure.h"
#include "wire/format.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"
#include "wire/problem.h"
#include "wire/raw_json.h"
#include "wire/sse.h"

namespace await::cost {
namespace {

void check(std::string_view text) {
  wire::JsonCheck json(wire::JsonCheck::Numbers::bounded);
  bool good = json.feed(text) && json.finish();
  keep(&good);
}

void check_byte_by_byte(std::string_view text) {
  wire::JsonCheck json;
  in_pieces(text, 1, [&](std::string_view bytes) { return json.feed(bytes); });
}

void write(std::string_view text) {
  std::string out = wire::json_string(text);
  keep(&out);
}

void find(std::string_view text) {
  auto found = wire::raw_find(text, "none.such");
  keep(&found);
}

void shape(std::string_view text) {
  wire::Format format;
  format.compile(R"({"...":"@a","id":"@a.b ?? @none|upper"})");
  std::string out = format.apply(text);
  keep(&out);
}

void fail(std::string_view text) {
  std::string out =
      wire::encode_failure(std::string(text), wire::problem_of_status(424), "/problems/", "/jobs/1");
  keep(&out);
}

void stream(std::string_view text) {
  std::string out = wire::chunk(wire::sse_frame("cursor", "note", text));
  keep(&out);
}

std::string list(std::size_t n, std::string_view item) {
  return "[" + repeat(n, std::string(item) + ",") + "0]";
}

std::string object(std::size_t n) {
  return "{" + each(n, [](auto i) { return "\"" + std::to_string(i) + "\":{\"b\":1},"; }) + "\"\":0}";
}

}  // namespace

std::vector<Case> json_cases() {
  auto of = [](const char *item) { return [item](std::size_t n) { return list(n, item); }; };
  auto text = [](const char *piece) { return [piece](std::size_t n) { return repeat(n, piece); }; };
  auto deep = [](std::size_t n) { return repeat(n, "[") + repeat(n, "]"); };
  auto open = [](std::size_t n) { return repeat(n, "["); };
  auto digits = [](std::size_t n) {
    return std::string(n, '9') + "." + std::string(n, '0') + "e" + std::string(n, '0');
  };
  auto quoted = [](std::size_t n) { return "{\"a\":\"" + repeat(n, "\\\"}{") + "\"}"; };
  auto nested = [](std::size_t n) { return "{\"a\":" + object(n) + "}"; };
  return {
      {"json: small numbers", 4000, of("1"), check, at_most(4096)},
      {"json: numbers with exponents", 4000, of("-1.5e300"), check, at_most(4096)},
      {"json: numbers that are too long written out", 4000, of("1e130000"), check, at_most(4096)},
      {"json: one number", 8000, digits, check, at_most(4096)},
      {"json: an exponent", 8000, [](std::size_t n) { return "1e" + std::string(n, '9'); }, check,
       at_most(4096)},
      {"json: depth", 250, deep, check, at_most(4096)},
      {"json: depth without an end", 8000, open, check, at_most(4096)},
      {"json: escapes", 4000, of("\"\\u00e9\\n\\ud83d\\ude00\""), check, at_most(4096)},
      {"json: objects", 2000, object, check_byte_by_byte, at_most(4096)},
      {"json: writing control characters", 8000, text("\1"), write, times(20)},
      {"json: writing what is no UTF-8", 8000, text("\xff"), write, times(20)},
      {"json: writing half characters", 4000, text("\xf0\x90"), write, times(20)},
      {"json: looking for a member among many", 2000, object, find, at_most(4096)},
      {"json: looking within brackets that are text", 4000, quoted, find, at_most(4096)},
      {"json: looking in depth", 4000, [=](std::size_t n) { return "{\"none\":" + deep(n) + "}"; }, find,
       at_most(4096)},
      {"json: another shape of many members", 1000, nested, shape, times(20)},
      {"json: another shape of text", 4000, quoted, shape, times(20)},
      {"json: an error of many members", 1000, object, fail, times(40)},
      {"sse: lines", 8000, text("\n"), stream, times(40)},
      {"sse: line ends of all kinds", 4000, text("\r\n\r"), stream, times(40)},
      {"sse: one line", 16000, text("x"), stream, times(8)},
  };
}

}  // namespace await::cost
