#include "wire/cursor_key.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <new>

namespace await::wire {

SipKey cursor_key(std::string_view secret) {
  constexpr std::string_view kPurpose = "await cursor";
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char *>(kPurpose.data()), kPurpose.size(), sum, &size) == nullptr)
    throw std::bad_alloc();
  SipKey key{};  // of the same bytes on every node: the lowest first
  for (std::size_t i = 0; i < 16; ++i)
    key[i / 8] |= std::uint64_t{sum[i]} << (8 * (i % 8));
  return key;
}

}  // namespace await::wire
