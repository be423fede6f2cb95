#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace await {

/// A key of SipHash: 128 bits as two little-endian numbers.
using SipKey = std::array<std::uint64_t, 2>;

/// The state of SipHash-c-d (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
class SipState {
 public:
  explicit SipState(const SipKey &key)
      : v_{key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU, key[0] ^ 0x6c7967656e657261U,
           key[1] ^ 0x7465646279746573U} {}

  template <int Rounds>
  void absorb(std::uint64_t word) {
    v_[3] ^= word;
    run<Rounds>();
    v_[0] ^= word;
  }
  template <int Rounds>
  std::uint64_t end() {
    v_[2] ^= 0xff;
    run<Rounds>();
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  template <int Rounds>
  void run() {
    for (int i = 0; i < Rounds; ++i) {
      v_[0] += v_[1], v_[1] = std::rotl(v_[1], 13), v_[1] ^= v_[0], v_[0] = std::rotl(v_[0], 32);
      v_[2] += v_[3], v_[3] = std::rotl(v_[3], 16), v_[3] ^= v_[2];
      v_[0] += v_[3], v_[3] = std::rotl(v_[3], 21), v_[3] ^= v_[0];
      v_[2] += v_[1], v_[1] = std::rotl(v_[1], 17), v_[1] ^= v_[2], v_[2] = std::rotl(v_[2], 32);
    }
  }
  std::uint64_t v_[4];
};

/// SipHash-2-4: a message authentication code of 64 bits for short messages.
std::uint64_t siphash(const SipKey &key, std::string_view bytes);

/// The seed of hash tables whose keys are chosen by clients. It has a fixed value, so that tests and
/// simulations are repeatable, until set_hash_seed() is called. Set a random seed before anything is hashed.
const SipKey &hash_seed();
void set_hash_seed(const SipKey &seed);

/// SipHash-1-3 of two words, for hash tables.
inline std::size_t seeded_hash(std::uint64_t one, std::uint64_t two) {
  SipState state(hash_seed());
  state.absorb<1>(one);
  state.absorb<1>(two);
  state.absorb<1>(std::uint64_t{16} << 56);
  return state.end<3>();
}

}  // namespace await
