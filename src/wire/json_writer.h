#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace await::wire {

/// Writes one JSON object from front to back. Text is escaped so that the result stands on one line.
class JsonWriter {
 public:
  JsonWriter() {
    out_.reserve(512);
    out_ = '{';
  }

  /// Each adds a member; `name` is a literal of ours.
  void text(std::string_view name, std::string_view value);
  void text_or_null(std::string_view name, const std::optional<std::string> &value);
  void number(std::string_view name, std::int64_t value);
  void boolean(std::string_view name, bool value);
  void null(std::string_view name);
  /// `json` is valid JSON, of whatever layout.
  void raw(std::string_view name, std::string_view json);
  /// `json` comes from a JsonWriter.
  void made(std::string_view name, std::string_view json);
  void raw_or_null(std::string_view name, const std::optional<std::string> &json);

  /// The object, closed. The writer is spent.
  std::string take();

 private:
  void name(std::string_view name);
  std::string out_;
};

/// `text` as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace await::wire
