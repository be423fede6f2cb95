#include "wire/raw_json.h"

#include <algorithm>

#include "base/text.h"

namespace await::wire {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

void skip_space(std::string_view &text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
}

/// The length of the string at the start of `text`, including quotes.
std::size_t string_length(std::string_view text) {
  std::size_t at = 1;
  while (at < text.size() && text[at] != '"')
    at += text[at] == '\\' ? 2 : 1;
  return std::min(at + 1, text.size());
}

/// Removes the value at the start of `text`.
std::string_view take_value(std::string_view &text) {
  std::size_t at = 0;
  std::size_t depth = 0;
  do {
    char c = at < text.size() ? text[at] : '\0';
    if (c == '"') {
      at += string_length(text.substr(at));
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      --depth;
      ++at;
    } else if (depth > 0) {
      ++at;
    } else {
      at = std::min(text.find_first_of(",]} \t\r\n"), text.size());
      break;
    }
  } while (depth > 0 && at < text.size());
  std::string_view value = text.substr(0, at);
  text.remove_prefix(value.size());
  return value;
}

}  // namespace

RawMembers::RawMembers(std::string_view object) : rest_(object) {
  skip_space(rest_);
  if (rest_.starts_with('{'))
    rest_.remove_prefix(1);
  else
    rest_ = {};
}

std::optional<RawMembers::Member> RawMembers::next() {
  rest_.remove_prefix(std::min(rest_.find_first_of("\"}"), rest_.size()));
  if (!rest_.starts_with('"'))
    return std::nullopt;
  std::size_t length = string_length(rest_);
  Member member{rest_.substr(1, length - 2), {}};
  rest_.remove_prefix(length);
  skip_space(rest_);
  if (!rest_.starts_with(':'))
    return std::nullopt;
  rest_.remove_prefix(1);
  skip_space(rest_);
  member.value = take_value(rest_);
  return member;
}

std::optional<std::string_view> raw_find(std::string_view json, std::string_view path) {
  while (!path.empty()) {
    std::string_view name = cut(path, '.');
    RawMembers members(json);
    auto member = members.next();
    while (member && member->key != name)
      member = members.next();
    if (!member)
      return std::nullopt;
    json = member->value;
  }
  return json;
}

}  // namespace await::wire
