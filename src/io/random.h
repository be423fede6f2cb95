#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace await::io {

/// Random bytes of the system's CSPRNG, which are read in blocks.
class Random {
 public:
  std::array<std::uint8_t, 10> ten();
  std::array<std::uint64_t, 2> seed();
  /// A number from 0 to 1, for jitter.
  double unit();

 private:
  void take(std::uint8_t *out, std::size_t n);
  std::array<std::uint8_t, 4096> pool_{};
  std::size_t used_ = sizeof pool_;
};

}  // namespace await::io
