#include "base/addresses.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <memory>

namespace await {

bool is_numeric_address(const std::string &host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::vector<std::string> addresses_of(const std::string &name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo *raw = nullptr;
  std::vector<std::string> out;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &raw) != 0)
    return out;
  std::unique_ptr<addrinfo, void (*)(addrinfo *)> found(raw, freeaddrinfo);
  for (const addrinfo *one = raw; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 &&
        std::find(out.begin(), out.end(), text) == out.end())
      out.emplace_back(text);
  }
  return out;
}

}  // namespace await
