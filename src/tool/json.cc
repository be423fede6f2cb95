#include "tool/json.h"

#include <jansson.h>

#include <cstdio>
#include <memory>

#include "base/text.h"
#include "wire/raw_json.h"

namespace await::tool {
namespace {

std::string decode(std::string_view value) {
  if (!value.starts_with('"'))
    return value == "null" ? "" : std::string(value);
  std::unique_ptr<json_t, void (*)(json_t *)> text(
      json_loadb(value.data(), value.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, nullptr), json_decref);
  return text ? std::string(json_string_value(text.get()), json_string_length(text.get())) : "";
}

/// Whether a terminal acts on this character instead of showing it: C0, DEL, C1, and what changes the
/// direction of text or is a line of its own. Source: ECMA-48, Unicode §23.2.
bool controls(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/// The character at the start of well-formed UTF-8, which is removed from it.
char32_t take(std::string_view &text, std::string_view &bytes) {
  auto first = static_cast<unsigned char>(text[0]);
  std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t c = size == 1 ? first : first & (0x7fU >> size);
  for (std::size_t i = 1; i < size && i < text.size(); ++i)
    c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
  bytes = text.substr(0, size);
  text.remove_prefix(bytes.size());
  return c;
}

}  // namespace

std::string text_at(std::string_view json, std::string_view path) {
  auto value = wire::raw_find(json, path);
  return value ? decode(*value) : "";
}

std::vector<std::string> elements(std::string_view array) {
  std::vector<std::string> out;
  int depth = 0;
  bool quoted = false;
  std::size_t start = 1;
  auto add = [&](std::size_t end) {
    std::string_view element = trim(array.substr(start, end - start));
    if (!element.empty())
      out.emplace_back(element);
    start = end + 1;
  };
  for (std::size_t i = 0; i < array.size(); ++i) {
    char c = array[i];
    if (quoted) {
      i += c == '\\' ? 1 : 0;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      if (--depth == 0 && c == ']')
        add(i);
    } else if (c == ',' && depth == 1) {
      add(i);
    }
  }
  return out;
}

std::string shown_json(std::string_view json) {
  std::string fixed = repair_text(json);
  std::string out;
  for (std::string_view rest = fixed, bytes; !rest.empty();) {
    char32_t c = take(rest, bytes);
    if (!controls(c)) {
      out += bytes;
      continue;
    }
    char code[8];
    std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
    out += code;
  }
  return out;
}

std::string shown(std::string_view text, bool lines) {
  std::string fixed = repair_text(text);
  std::string out;
  for (std::string_view rest = fixed, bytes; !rest.empty();) {
    char32_t c = take(rest, bytes);
    bool kept = !controls(c) || (lines && (c == '\n' || c == '\t'));
    out += kept ? bytes : lines ? std::string_view("\xef\xbf\xbd") : " ";
  }
  return out;
}

}  // namespace await::tool
