#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await::core {

/// Takes big-endian numbers and texts from the front of a message of PostgreSQL. What is missing is read as
/// zero or empty, and noted.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::string_view bytes(std::size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::uint64_t number(std::size_t size) {
    std::uint64_t out = 0;
    for (char c : bytes(size))
      out = out << 8 | static_cast<unsigned char>(c);
    return out;
  }
  char letter() { return static_cast<char>(number(1)); }
  /// Up to the next NUL, which is taken too.
  std::string_view text() {
    std::size_t end = rest_.find('\0');
    std::string_view out = bytes(end == std::string_view::npos ? rest_.size() + 1 : end);
    bytes(good_ ? 1 : 0);
    return out;
  }
  std::string_view rest() const { return rest_; }
  /// Whether there was enough for all that was taken.
  bool good() const { return good_; }
  /// Whether there was exactly enough.
  bool over() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace await::core
