#include "wire/json_repair.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::string_view kReplacement = "\\ufffd";

/// The number after "\u"; -1 if `text` does not begin so.
int escaped_unit(std::string_view text) {
  if (text.size() < 6 || !text.starts_with("\\u"))
    return -1;
  int unit = 0;
  for (char c : text.substr(2, 4)) {
    int digit = c >= '0' && c <= '9'                     ? c - '0'
                : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                         : -1;
    if (digit < 0)
      return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

bool is_high(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }
bool is_low(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

/// Copies the escape sequence at the start of `text`, and returns its length.
std::size_t repair_escape(std::string &out, std::string_view text) {
  int unit = escaped_unit(text);
  std::size_t length = unit < 0 ? std::min<std::size_t>(2, text.size()) : 6;
  if (is_high(unit) && is_low(escaped_unit(text.substr(6))))
    length = 12;
  else if (unit == 0 || is_high(unit) || is_low(unit)) {
    out += kReplacement;
    return length;
  }
  out += text.substr(0, length);
  return length;
}

}  // namespace

std::string repair_json(std::string_view given) {
  std::string json = is_text(given) ? std::string(given) : repair_text(given);
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  for (std::size_t at = 0; at < json.size();) {
    char c = json[at];
    if (in_string && c == '\\') {
      at += repair_escape(out, std::string_view(json).substr(at));
      continue;
    }
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04x", c);
      out += code.data();
    } else {
      out += c;
    }
    in_string = in_string != (c == '"');
    ++at;
  }
  return out;
}

}  // namespace await::wire
