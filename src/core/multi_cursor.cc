#include "core/multi_cursor.h"

#include <algorithm>

#include "base/text.h"
#include "core/cursor.h"
#include "core/kind.h"
#include "core/snapshot_cursor.h"

namespace await::core {
namespace {

bool is_of(const Uuid &id, std::string_view part) {
  if (kind_of(id) == Kind::user)
    return names_user(part, id);  // the signature is verified when it is used
  auto timeline = cursor_timeline(part);
  return timeline && decode_cursor(part, *timeline, id);
}

}  // namespace

std::string join_cursors(std::vector<std::string> parts) {
  std::size_t length = parts.size() - 1;
  for (const std::string &part : parts)
    length += part.size();
  while (length > kMostCursor) {
    auto longest = std::max_element(parts.begin(), parts.end(),
                                    [](auto &one, auto &other) { return one.size() < other.size(); });
    length -= longest->size();
    longest->clear();
  }
  std::string out;
  for (const std::string &part : parts)
    out.append(&part == parts.data() ? "" : ".").append(part);
  return out;
}

std::string cursor_for(const Uuid &id, std::string cursor) {
  if (cursor.find('.') == std::string::npos)
    return cursor;
  if (cursor.size() <= kMostCursor) {
    std::string_view rest = cursor;
    while (!rest.empty()) {
      std::string_view part = cut(rest, '.');
      // mutant: cursor-part-by-channel
      if (is_of(id, part))
        return std::string(part);
    }
  }
  return ".";
}

}  // namespace await::core
