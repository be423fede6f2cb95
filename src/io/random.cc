#include "io/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace await::io {

void Random::take(std::uint8_t *out, std::size_t n) {
  if (used_ + n > pool_.size()) {
    std::size_t got = 0;
    while (got < pool_.size()) {  // blocks only until the kernel's random generator is initialized
      ssize_t some = getrandom(pool_.data() + got, pool_.size() - got, 0);
      if (some > 0)
        got += static_cast<std::size_t>(some);
      else if (errno != EINTR)
        std::abort();  // all supported kernels have getrandom(); ids must not be guessable
    }
    used_ = 0;
  }
  std::memcpy(out, pool_.data() + used_, n);
  std::memset(pool_.data() + used_, 0, n);
  used_ += n;
}

std::array<std::uint8_t, 10> Random::ten() {
  std::array<std::uint8_t, 10> out;
  take(out.data(), out.size());
  return out;
}

std::array<std::uint64_t, 2> Random::seed() {
  std::array<std::uint64_t, 2> out{};
  std::uint8_t raw[sizeof out];
  take(raw, sizeof raw);
  std::memcpy(out.data(), raw, sizeof raw);
  return out;
}

double Random::unit() {
  std::uint32_t value = 0;
  std::uint8_t raw[4];
  take(raw, sizeof raw);
  std::memcpy(&value, raw, sizeof value);
  return value / 4294967296.0;
}

}  // namespace await::io
