#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "wire/json_writer.h"

namespace await::wire {

/// Writes a JSON array, element by element.
class JsonList {
 public:
  void text(std::string_view value) { made(json_string(value)); }
  void number(std::int64_t value) { made(std::to_string(value)); }
  /// `json` must come from a JsonWriter, or be valid JSON.
  void made(std::string_view json) {
    if (out_.size() > 1)
      out_ += ',';
    out_ += json;
  }

  /// Closes the array and returns it. The list must not be used afterwards.
  std::string take() { return std::move(out_ += ']'); }

 private:
  std::string out_ = "[";
};

}  // namespace await::wire
