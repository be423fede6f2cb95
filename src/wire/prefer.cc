#include "wire/prefer.h"

#include "base/text.h"

namespace await::wire {
namespace {

/// Like cut(), but ignores separators within quoted strings.
std::string_view cut_unquoted(std::string_view &text, char separator) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == separator) {
      auto head = text.substr(0, i);
      text.remove_prefix(i + 1);
      return head;
    }
  }
  auto head = text;
  text = {};
  return head;
}

}  // namespace

void parse_prefer(std::string_view field, Prefer &prefer) {
  while (!field.empty()) {
    std::string_view preference = cut_unquoted(field, ',');
    std::string_view value = cut_unquoted(preference, ';');  // parameters after ';' are ignored
    std::string_view name = trim(cut(value, '='));
    value = trim(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    if (iequals(name, "respond-async") && value.empty())
      prefer.respond_async = true;
    else if (iequals(name, "wait") && !prefer.wait && !prefer.wait_s)
      value.empty() ? void(prefer.wait = true) : void(prefer.wait_s = parse_clipped(value, 1'000'000'000));
  }
}

}  // namespace await::wire
