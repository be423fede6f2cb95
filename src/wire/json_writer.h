#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Writes a JSON object, member by member. Text is escaped so that the result is one line.
class JsonWriter {
 public:
  JsonWriter() {
    out_.reserve(512);
    out_ = '{';
  }

  /// Each function adds a member. `name` must be a literal that needs no escaping.
  void text(std::string_view name, std::string_view value);
  void text_or_null(std::string_view name, const std::optional<std::string> &value);
  void number(std::string_view name, std::int64_t value);
  void boolean(std::string_view name, bool value);
  void null(std::string_view name);
  /// `json` must be valid JSON, with any white space.
  void raw(std::string_view name, std::string_view json);
  /// `json` must come from a JsonWriter.
  void made(std::string_view name, std::string_view json);
  void raw_or_null(std::string_view name, const std::optional<std::string> &json);

  /// Closes the object and returns it. The writer must not be used afterwards.
  std::string take();

 private:
  void name(std::string_view name);
  std::string out_;
};

/// `text` as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace await::wire
