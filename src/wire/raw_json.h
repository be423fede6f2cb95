#pragma once

#include <optional>
#include <string_view>

namespace await::wire {

/// Reads JSON that is known to be good, as the text it is: numbers keep every digit.
/// Members of an object, one after the other.
class RawMembers {
 public:
  /// @param object  anything else has no members
  explicit RawMembers(std::string_view object);
  struct Member {
    std::string_view key;    ///< as written, without its quotes
    std::string_view value;  ///< without the space around it
  };
  std::optional<Member> next();

 private:
  std::string_view rest_;
};

/// What stands at `path`, names with dots between them; nothing where there is no such member.
std::optional<std::string_view> raw_find(std::string_view json, std::string_view path);

}  // namespace await::wire
