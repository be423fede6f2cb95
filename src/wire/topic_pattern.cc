#include "wire/topic_pattern.h"

#include <algorithm>

namespace await::wire {
namespace {

constexpr std::size_t kMaxName = 249;  // org.apache.kafka.common.internals.Topic
constexpr std::size_t kMaxWord =
    64;  // of a type and of a queue's name, which have no other characters either
constexpr std::string_view kChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

Error wrong(std::string_view text, const char *why) {
  return {Code::invalid, "\"" + std::string(text) + "\" is not a topic such as judge.{type}: " + why};
}

}  // namespace

Result<TopicPattern> TopicPattern::parse(std::string_view text) {
  TopicPattern out;
  std::size_t longest = 0;
  for (std::string_view rest = text; !rest.empty();) {
    if (rest.front() == '{') {
      std::string_view word = rest.substr(0, rest.find('}') + 1);
      if (word != "{type}" && word != "{queue}")
        return wrong(text, "it can contain {type} and {queue}");
      out.parts_.emplace_back(word == "{type}" ? Part::type : Part::queue, "");
      rest.remove_prefix(word.size());
      longest += kMaxWord;
      continue;
    }
    std::string_view literal = rest.substr(0, rest.find('{'));
    if (literal.find_first_not_of(kChars) != std::string_view::npos)
      return wrong(text, "a name has letters, digits, dots, underscores and hyphens");
    out.parts_.emplace_back(Part::literal, literal);
    rest.remove_prefix(literal.size());
    longest += literal.size();
  }
  if (text.empty() || text == "." || text == "..")
    return wrong(text, "Kafka does not accept this name");
  if (longest > kMaxName)
    return wrong(text, "a name has at most 249 characters, of which a type and a queue can have 64 each");
  return out;
}

std::string TopicPattern::name(std::string_view type, std::string_view queue) const {
  if (queue.empty())
    queue = "topic";
  else if (queue == ".batch")
    queue = "batch";
  std::string out;
  for (const auto &[part, text] : parts_)
    out += part == Part::literal ? std::string_view(text) : part == Part::type ? type : queue;
  // only of a row that somebody has edited; a broker would refuse the name for ever
  for (char &c : out) {
    if (kChars.find(c) == std::string_view::npos)
      c = '_';
  }
  out.resize(std::min(out.size(), kMaxName));
  // a queue may be called so
  return out == "." || out == ".." ? out + "_" : out;
}

bool TopicPattern::is_fixed() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const auto &part) { return part.first == Part::literal; });
}

}  // namespace await::wire
