#include "core/hint.h"

#include "base/text.h"

namespace await::core {

std::string write_hint(const Uuid &job, int seq, std::string_view type) {
  return "1 " + job.text() + " " + std::to_string(seq) + " " + std::string(type);
}

std::optional<Hint> read_hint(std::string_view message) {
  const char *begin = message.data();
  if (cut(message, ' ') != "1")
    return std::nullopt;
  auto job = Uuid::parse(cut(message, ' '));
  auto seq = parse_number(cut(message, ' '), INT32_MAX);
  if (!job || !seq)
    return std::nullopt;
  Hint hint{*job, static_cast<int>(*seq), cut(message, ' '), {}, {}, {}};
  hint.head = {begin, static_cast<std::size_t>(hint.type.data() + hint.type.size() - begin)};
  hint.signature = cut(message, ' ');
  hint.payload = message;
  return hint;
}

}  // namespace await::core
