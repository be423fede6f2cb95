#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace await::wire {

/// Another shape for a JSON document: what await_format says. A template is JSON; in it
///   "@a.b"            stands for what the document has at that path, null where it has nothing there
///   "@a ?? @b"        for the first of them that is there and is not null
///   "@a|upper"        for its capitals; |unix, |ms: a time as whole seconds, milliseconds, since 1970
///   "...": "@a"       for the members of that object, but for those that the template names itself
///   "@@…"             for a text that begins with an @.
class Format {
 public:
  Format();
  Format(Format &&) noexcept;
  ~Format();
  /// Takes a template. What is wrong with it; empty: nothing.
  std::string compile(std::string_view json);
  /// @param document  good JSON
  std::string apply(std::string_view document) const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
};

}  // namespace await::wire
