#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace await {

/// Eight bytes of a text, looked at together.
class EightBytes {
 public:
  static constexpr std::size_t kSize = sizeof(std::uint64_t);

  /// @param bytes  at least eight
  explicit EightBytes(const char *bytes) { std::memcpy(&bytes_, bytes, kSize); }

  bool are_ascii() const { return (bytes_ & kHigh) == 0; }
  /// Whether one of them is less than `limit`, which is at most 128.
  bool have_below(unsigned char limit) const { return ((bytes_ - kOnes * limit) & ~bytes_ & kHigh) != 0; }
  bool have(char c) const {
    std::uint64_t zero = bytes_ ^ (kOnes * static_cast<unsigned char>(c));  // where it is
    return ((zero - kOnes) & ~zero & kHigh) != 0;
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101;
  static constexpr std::uint64_t kHigh = 0x8080808080808080;
  std::uint64_t bytes_;
};

/// The length of the beginning of `text`, in steps of eight bytes, in which each eight fulfil `test`.
template <class Test>
std::size_t length_while(std::string_view text, Test test) {
  std::size_t length = 0;
  while (text.size() - length >= EightBytes::kSize && test(EightBytes(text.data() + length)))
    length += EightBytes::kSize;
  return length;
}

}  // namespace await
