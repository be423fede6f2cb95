#pragma once

#include <optional>
#include <string_view>

namespace await::wire {

/// Iterates over the members of a JSON object that is known to be valid. Values are returned as text, so
/// numbers keep all digits.
class RawMembers {
 public:
  /// @param object  if it is not an object, there are no members
  explicit RawMembers(std::string_view object);
  struct Member {
    std::string_view key;    ///< as written, without quotes
    std::string_view value;  ///< without surrounding white space
  };
  std::optional<Member> next();

 private:
  std::string_view rest_;
};

/// The value at `path` (names separated by dots). Empty if there is no such member.
std::optional<std::string_view> raw_find(std::string_view json, std::string_view path);

}  // namespace await::wire
