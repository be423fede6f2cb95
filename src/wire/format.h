#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace await::wire {

/// A format for JSON documents, as defined by await_format. The template is JSON, in which these are
/// replaced:
///   "@a.b"            the value of the document at this path, or null if there is none
///   "@a ?? @b"        the first of the values that exists and is not null
///   "@a|upper"        the value in upper case; |unix and |ms: a time in seconds or milliseconds since 1970
///   "...": "@a"       the members of this object, except those that the template defines itself
///   "@@…"             a string that starts with @.
class Format {
 public:
  Format();
  Format(Format &&) noexcept;
  ~Format();
  /// Compiles a template. Returns an error message, or an empty string on success.
  std::string compile(std::string_view json);
  /// @param document  must be valid JSON
  std::string apply(std::string_view document) const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
};

}  // namespace await::wire
