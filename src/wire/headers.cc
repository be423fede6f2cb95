#include "wire/headers.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.h"

namespace await::wire {
namespace {

bool is_quoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"')
    return false;
  bool escaped = false;
  for (unsigned char c : text.substr(1, text.size() - 2)) {
    if ((c < 0x20 && c != '\t') || c == 0x7f || (c == '"' && !escaped))
      return false;
    escaped = c == '\\' && !escaped;
  }
  return !escaped;
}

std::string undo_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto code = text.substr(i, 3);
    if (code == "%22" || iequals(code, "%0d") || iequals(code, "%0a")) {
      out += code == "%22" ? '"' : iequals(code, "%0d") ? '\r' : '\n';
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// All of them.
std::string from_percent(std::string_view text) {
  std::string out;
  auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool coded = text[i] == '%' && i + 2 < text.size() &&
                 std::isxdigit(static_cast<unsigned char>(text[i + 1])) &&
                 std::isxdigit(static_cast<unsigned char>(text[i + 2]));
    out += coded ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    i += coded ? 2 : 0;
  }
  return out;
}

}  // namespace

bool is_traceparent(std::string_view text) {
  if (text.size() != 55)
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 2 || i == 35 || i == 52;
    bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !hex)
      return false;
  }
  return true;
}

bool is_media_type(std::string_view value) {
  if (value.size() > 255 || !is_text(value))
    return false;
  std::string_view rest = value;
  std::string_view type = trim(cut(rest, ';'));
  std::string_view major = cut(type, '/');
  if (!is_token(major) || !is_token(type))
    return false;
  while (!rest.empty()) {
    std::string_view text = cut(rest, ';');
    std::string_view name = trim(cut(text, '='));
    if (name.empty() && text.empty())
      continue;
    if (!is_token(name) || !(is_token(trim(text)) || is_quoted(trim(text))))
      return false;
  }
  return true;
}

std::string essence(std::string_view media_type) { return lower(trim(cut(media_type, ';'))); }

std::optional<std::string> parameter(std::string_view value, std::string_view name) {
  cut(value, ';');
  while (!value.empty()) {
    auto equals = value.find('=');
    if (equals == std::string_view::npos)
      return std::nullopt;
    std::string_view key = trim(value.substr(0, equals));
    value = value.substr(equals + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    std::string found;
    if (value.starts_with('"')) {
      std::size_t i = 1;
      for (; i < value.size() && value[i] != '"'; ++i) {
        // browsers do not escape backslashes, curl does with `\"` and `\\` only
        if (value[i] == '\\' && i + 1 < value.size() && (value[i + 1] == '"' || value[i + 1] == '\\'))
          ++i;
        found += value[i];
      }
      if (i == value.size())
        return std::nullopt;
      value.remove_prefix(i + 1);
      cut(value, ';');
    } else {
      found = trim(cut(value, ';'));
    }
    if (iequals(key, name))
      return undo_percent(found);
  }
  return std::nullopt;
}

std::optional<std::string> disposition_file_name(std::string_view value) {
  auto name = parameter(value, "filename");
  if (auto extended = parameter(value, "filename*"); extended && iequals(extended->substr(0, 6), "utf-8'")) {
    auto at = extended->find('\'', 6);
    if (at != std::string::npos)
      name = from_percent(extended->substr(at + 1));
  }
  if (!name)
    return std::nullopt;
  std::string base(base_name(*name));
  bool clean = is_text(base) &&
               std::none_of(base.begin(), base.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return clean && !base.empty() && base.size() <= 255 ? std::optional(base) : std::nullopt;
}

std::string disposition(bool attachment, const std::optional<std::string> &file_name) {
  std::string out = attachment ? "attachment" : "inline";
  if (!file_name)
    return out;
  std::string ascii;
  std::string extended;
  bool plain = true;
  for (unsigned char c : *file_name) {
    bool odd = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '%';
    plain = plain && !odd;
    if (!odd)
      ascii += static_cast<char>(c);
    else if ((c & 0xc0) != 0x80)  // one for each character, not for each byte
      ascii += '_';
    bool attr = std::string_view("!#$&+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
    if (attr || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
      extended += static_cast<char>(c);
    } else {
      std::array<char, 4> code{};
      std::snprintf(code.data(), code.size(), "%%%02X", c);
      extended += code.data();
    }
  }
  out += "; filename=\"" + ascii + "\"";
  if (!plain)
    out += "; filename*=UTF-8''" + extended;
  return out;
}

std::string_view base_name(std::string_view path) {
  auto slash = path.find_last_of("/\\");
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

Range parse_range(std::string_view field, std::int64_t size) {
  if (field.substr(0, 6) != "bytes=" || field.find(',') != std::string_view::npos)
    return {};
  std::string_view to = trim(field.substr(6));
  if (to.find('-') == std::string_view::npos)
    return {};
  std::string_view from = cut(to, '-');
  auto first = parse_number(from);
  auto last = parse_number(to);
  Range range{Range::Kind::part, 0, size - 1};
  if (from.empty()) {
    if (!last)
      return {};
    range.first = std::max<std::int64_t>(0, size - *last);
    return *last == 0 || size == 0 ? Range{Range::Kind::unsatisfiable, 0, 0} : range;
  }
  if (!first || (!to.empty() && !last) || (last && *last < *first))
    return {};
  if (*first >= size)
    return {Range::Kind::unsatisfiable, 0, 0};
  range.first = *first;
  if (last)
    range.last = std::min(*last, size - 1);
  return range;
}

bool etag_listed_strongly(std::string_view field, std::string_view etag) {
  if (trim(field) == "*")
    return true;
  while (!etag.starts_with("W/") && !field.empty()) {
    if (trim(cut(field, ',')) == etag)
      return true;
  }
  return false;
}

bool etag_listed(std::string_view field, std::string_view etag) {
  auto strong = [](std::string_view tag) { return tag.starts_with("W/") ? tag.substr(2) : tag; };
  if (trim(field) == "*")
    return true;
  while (!field.empty()) {
    if (strong(trim(cut(field, ','))) == strong(etag))
      return true;
  }
  return false;
}

}  // namespace await::wire
