#include "base/siphash.h"

namespace await {
namespace {

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return word;
}

SipKey the_seed{};

}  // namespace

std::uint64_t siphash(const SipKey &key, std::string_view bytes) {
  SipState state(key);
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    state.absorb<2>(little_endian(bytes.substr(0, 8)));
  state.absorb<2>(last | little_endian(bytes));
  return state.end<4>();
}

const SipKey &hash_seed() { return the_seed; }
void set_hash_seed(const SipKey &seed) { the_seed = seed; }

}  // namespace await
