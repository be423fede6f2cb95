#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace await::cost {

/// What a client, or a Redis, may send, and what is made of it. `take` is measured with an input of `n` and
/// of twice that: it may need twice the instructions, and no more memory than is said.
struct Case {
  const char *name;
  std::size_t n;
  std::function<std::string(std::size_t n)> make;
  std::function<void(std::string_view input)> take;
  /// Bytes allocated at once, at most; of an input of this length.
  std::function<std::size_t(std::size_t length)> memory;
};

/// Memory that does not depend on the input.
inline std::function<std::size_t(std::size_t)> at_most(std::size_t bytes) {
  return [bytes](std::size_t) { return bytes; };
}
/// So many times the input, and some.
inline std::function<std::size_t(std::size_t)> times(std::size_t factor) {
  return [factor](std::size_t length) { return factor * length + 4096; };
}

inline std::string repeat(std::size_t n, std::string_view text) {
  std::string out;
  out.reserve(n * text.size());
  for (; n > 0; --n)
    out += text;
  return out;
}

/// A text for each of 0 … n-1.
template <class Make>
std::string each(std::size_t n, Make make) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i)
    out += make(i);
  return out;
}

/// Hands `input` on in pieces.
template <class Take>
void in_pieces(std::string_view input, std::size_t size, Take take) {
  while (!input.empty()) {
    if (!take(input.substr(0, size)))
      return;
    input.remove_prefix(std::min(size, input.size()));
  }
}

/// The tables, a file for each kind.
std::vector<Case> answer_cases();
std::vector<Case> batch_cases();
std::vector<Case> form_cases();
std::vector<Case> json_cases();
std::vector<Case> log_cases();
std::vector<Case> header_cases();
std::vector<Case> socket_cases();
std::vector<Case> reply_cases();

/// Makes what is measured stay.
inline void keep(const void *made) { asm volatile("" : : "r"(made) : "memory"); }

}  // namespace await::cost
