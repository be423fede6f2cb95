#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace await::fuzz {

/// Takes the fuzzer's bytes apart, front to back; zeros when they are used up.
class Input {
 public:
  Input(const std::uint8_t *data, std::size_t size) : rest_(reinterpret_cast<const char *>(data), size) {}

  bool empty() const { return rest_.empty(); }
  unsigned byte() {
    if (rest_.empty())
      return 0;
    auto first = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    return first;
  }
  /// Up to the next NUL byte.
  std::string_view text() {
    auto end = rest_.find('\0');
    std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return out;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Ends the run where something that must hold does not.
inline void must(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

}  // namespace await::fuzz
