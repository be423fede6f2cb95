// JSON: our streaming check, cut anywhere, takes exactly what jansson takes; and every text that we
// write comes back from jansson as it was.

#include <jansson.h>

#include <memory>

#include "base/text.h"
#include "fuzz/input.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"

namespace {

bool check(std::string_view text, std::size_t step) {
  await::wire::JsonCheck check;
  while (!text.empty()) {
    if (!check.feed(text.substr(0, step)))
      return false;
    text.remove_prefix(std::min(step, text.size()));
  }
  return check.finish();
}

using Json = std::unique_ptr<json_t, void (*)(json_t *)>;
Json parse(std::string_view text, json_error_t *error) {
  return {json_loadb(text.data(), text.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, error), json_decref};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using await::fuzz::must;
  await::fuzz::Input in(data, size);
  std::size_t step = 1 + in.byte() % 17;
  std::string_view text = in.rest();
  bool ours = check(text, step);
  await::wire::JsonCheck bounded(await::wire::JsonCheck::Numbers::bounded);
  bool small = bounded.feed(text) && bounded.finish();
  must(!small || ours, "a bound that lets more through");
  must(!small || bounded.written() <= 400 * (text.size() + 1), "what is short becomes long");
  must(ours == check(text, size + 1), "a cut changes what is JSON");

  json_error_t error;
  Json value = parse(text, &error);
  // jansson stops at numbers that do not fit a double or an int64, at 2048 levels, at NULs in keys; and it
  // takes a raw NUL for the end
  bool limits = text.find('\0') != text.npos || json_error_code(&error) == json_error_numeric_overflow ||
                json_error_code(&error) == json_error_stack_overflow ||
                json_error_code(&error) == json_error_null_byte_in_key;
  if (!limits) {
    bool deep = !ours && value;  // ours stops at 512 levels
    std::size_t depth = 0, deepest = 0;
    for (char c : text)
      depth += c == '[' || c == '{', depth -= c == ']' || c == '}' ? (depth > 0) : 0,
          deepest = std::max(deepest, depth);
    if (!(deep && deepest > await::wire::JsonCheck::kMaxDepth))
      must(ours == (value != nullptr),
           ours ? "we take what jansson refuses" : "we refuse what jansson takes");
  }
  if (text.find('\0') != text.npos)
    must(!ours, "we take a NUL");
  if (ours && value) {
    std::string small = await::wire::minify(text);
    must(small.find_first_of("\r\n") == std::string::npos, "a line break in minified JSON");
    Json again = parse(small, &error);
    must(again && json_equal(again.get(), value.get()) == 1, "minified JSON says something else");
  }
  if (await::is_text(text)) {
    std::string quoted = await::wire::json_string(text);
    Json back = parse(quoted, &error);
    must(back && std::string_view(json_string_value(back.get()), json_string_length(back.get())) == text,
         "a text comes back changed");
  }
  return 0;
}
