#include "wire/json_writer.h"

#include <array>
#include <cstdio>

#include "base/eight_bytes.h"
#include "base/text.h"
#include "wire/json_check.h"

namespace await::wire {
namespace {

bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

void escape_into(std::string &out, std::string_view text) {
  std::size_t plain = length_while(text, [](EightBytes eight) {
    return !eight.have_below(0x20) && !eight.have('"') && !eight.have('\\');
  });
  while (plain < text.size() && is_plain(text[plain]))
    ++plain;
  out.append(text.substr(0, plain));  // mostly all of it
  for (char c : text.substr(plain)) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          std::array<char, 8> code{};
          std::snprintf(code.data(), code.size(), "\\u%04x", c);
          out += code.data();
        } else {
          out += c;
        }
    }
  }
}

void string_into(std::string &out, std::string_view text) {
  out += '"';
  if (is_text(text)) {
    escape_into(out, text);
  } else {
    for (char c : text)  // rare: keep what is ASCII
      escape_into(out, static_cast<unsigned char>(c) < 0x80 ? std::string_view(&c, 1) : "\xef\xbf\xbd");
  }
  out += '"';
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out;
  string_into(out, text);
  return out;
}

void JsonWriter::name(std::string_view name) {
  if (out_.size() > 1)
    out_ += ',';
  out_ += '"';
  out_ += name;
  out_ += "\":";
}

void JsonWriter::text(std::string_view key, std::string_view value) {
  name(key);
  string_into(out_, value);
}

void JsonWriter::text_or_null(std::string_view key, const std::optional<std::string> &value) {
  if (value)
    text(key, *value);
  else
    null(key);
}

void JsonWriter::number(std::string_view key, std::int64_t value) {
  name(key);
  out_ += std::to_string(value);
}

void JsonWriter::boolean(std::string_view key, bool value) { made(key, value ? "true" : "false"); }

void JsonWriter::null(std::string_view key) { made(key, "null"); }

void JsonWriter::raw(std::string_view key, std::string_view json) {
  name(key);
  out_ += minify(json);
}

void JsonWriter::made(std::string_view key, std::string_view json) {
  name(key);
  out_ += json;
}

void JsonWriter::raw_or_null(std::string_view key, const std::optional<std::string> &json) {
  if (json)
    raw(key, *json);
  else
    null(key);
}

std::string JsonWriter::take() { return std::move(out_ += '}'); }

}  // namespace await::wire
