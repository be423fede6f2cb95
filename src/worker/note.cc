#include "worker/note.h"

#include <jansson.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "base/text.h"
#include "wire/json_check.h"
#include "wire/raw_json.h"

namespace await::worker {
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

/// Makes the strings of a JSON text, which is UTF-8, such that PostgreSQL takes them.
std::string repair_strings(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  for (std::size_t at = 0; at < json.size();) {
    char c = json[at];
    if (in_string && c == '\\') {
      at += repair_escape(out, json.substr(at));
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

/// The text of a JSON string.
std::optional<std::string> string_of(std::string_view json) {
  if (!json.starts_with('"'))
    return std::nullopt;
  std::unique_ptr<json_t, void (*)(json_t *)> value(
      json_loadb(json.data(), json.size(), JSON_DECODE_ANY, nullptr), [](json_t *j) { json_decref(j); });
  return value ? std::optional<std::string>(json_string_value(value.get())) : std::nullopt;
}

}  // namespace

std::optional<Note> parse_note(std::string_view line) {
  std::string json = repair_strings(is_text(line) ? std::string(line) : repair_text(line));
  std::size_t first = json.find_first_not_of(" \t\r");
  if (first == std::string::npos || json[first] != '{' || !wire::is_json(json))
    return std::nullopt;
  Note note;
  wire::RawMembers members(json);
  while (auto member = members.next()) {  // of two members with a name the last one counts, as for jsonb
    std::string key = string_of('"' + std::string(member->key) + '"').value_or("");
    if (key == "type")
      note.type = string_of(member->value);
    else if (key == "data")
      note.data = member->value;
    else if (key == "id")
      note.id = member->value.starts_with('"') ? string_of(member->value)
                : std::string_view("-0123456789").find(member->value[0]) != std::string_view::npos
                    ? std::optional<std::string>(member->value)
                    : std::nullopt;
  }
  if (!note.type)
    return Note{{}, std::move(json), {}};
  return note;
}

}  // namespace await::worker
