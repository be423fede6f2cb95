#include "wire/webhook_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <new>

namespace await::wire {
namespace {

const unsigned char *raw(std::string_view text) {
  return reinterpret_cast<const unsigned char *>(text.data());
}

}  // namespace

std::string webhook_signature(std::span<const std::string> keys, std::string_view id, std::int64_t timestamp,
                              std::string_view body) {
  std::string message(id);
  message.append(".").append(std::to_string(timestamp)).append(".").append(body);
  std::string out;
  for (const std::string &key : keys) {
    std::array<unsigned char, 32> mac{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(message), message.size(), mac.data(),
             &size) == nullptr)
      throw std::bad_alloc();
    std::array<unsigned char, 45> text{};  // 44 characters and a NUL
    int length = EVP_EncodeBlock(text.data(), mac.data(), static_cast<int>(size));
    out += out.empty() ? "v1," : " v1,";
    out.append(reinterpret_cast<const char *>(text.data()), static_cast<std::size_t>(length));
  }
  return out;
}

}  // namespace await::wire
