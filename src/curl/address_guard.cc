#include "curl/address_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace await::curl {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

constexpr Bytes kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

struct Special {
  const char *network;
  const char *what;
};

/// What must not be reached; the first that contains the address counts.
constexpr Special kSpecialV4[] = {
    {"0.0.0.0/8", "an unspecified address"},
    {"10.0.0.0/8", "a private address"},
    {"100.64.0.0/10", "an address of a carrier's NAT"},
    {"127.0.0.0/8", "a loopback address"},
    {"168.63.129.16/32", "the metadata service of a cloud"},
    {"169.254.0.0/16", "a link-local address"},
    {"172.16.0.0/12", "a private address"},
    {"192.0.0.0/24", "a reserved address"},
    {"192.0.2.0/24", "an address for documentation"},
    {"192.88.99.0/24", "a 6to4 relay"},
    {"192.168.0.0/16", "a private address"},
    {"198.18.0.0/15", "an address for benchmarks"},
    {"198.51.100.0/24", "an address for documentation"},
    {"203.0.113.0/24", "an address for documentation"},
    {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved address"},
};
constexpr Special kSpecialV6[] = {
    {"::/128", "an unspecified address"},
    {"::1/128", "a loopback address"},
    {"fe80::/10", "a link-local address"},
    {"fec0::/10", "a site-local address"},
    {"fc00::/7", "a private address"},
    {"ff00::/8", "a multicast address"},
    {"2001::/23", "a reserved address"},  // Teredo, ORCHID
    {"2001:db8::/32", "an address for documentation"},
    {"2002::/16", "a 6to4 address"},
    {"3fff::/20", "an address for documentation"},
};
constexpr char kGlobal[] = "2000::/3";     // all else of IPv6 is reserved
constexpr char kNat64[] = "64:ff9b::/96";  // the last 32 bits are an IPv4 address

std::optional<Bytes> parse(const std::string &text) {
  Bytes out = kMapped;
  if (::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1 ||
      ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1)
    return out;
  return std::nullopt;
}

bool same_bits(const Bytes &a, const Bytes &b, int bits) {
  int whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin()))
    return false;
  auto mask = static_cast<std::uint8_t>(0xff << (8 - bits % 8));
  return bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

bool is_v4(const Bytes &address) { return same_bits(address, kMapped, kMappedBits); }

/// @param network  well-formed, as those above are
bool is_in(const Bytes &address, std::string_view network) {
  std::string text(cut(network, '/'));
  auto base = parse(text);
  bool v4 = text.find(':') == std::string::npos;
  return same_bits(address, *base, static_cast<int>(*parse_number(network)) + (v4 ? kMappedBits : 0));
}

std::string text_of(const Bytes &address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_v4(address))
    ::inet_ntop(AF_INET, address.data() + 12, text, sizeof text);
  else
    ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
  return text;
}

/// What kind of special address it is; null for a public one.
const char *kind_of(const Bytes &address) {
  if (is_v4(address)) {
    for (const Special &special : kSpecialV4) {
      if (is_in(address, special.network))
        return special.what;
    }
    return nullptr;
  }
  for (const Special &special : kSpecialV6) {
    if (is_in(address, special.network))
      return special.what;
  }
  return is_in(address, kGlobal) ? nullptr : "a reserved address";
}

}  // namespace

AddressGuard AddressGuard::open() {
  AddressGuard guard;
  guard.open_ = true;
  return guard;
}

bool AddressGuard::Network::contains(const Bytes &other) const {
  // ::/0 is all of IPv6: an IPv4 address only has the form of one here, and behind NAT64 it is one
  if (bits < kMappedBits && (is_v4(other) || is_in(other, kNat64)))
    return false;
  return same_bits(address, other, bits);
}

Result<Done> AddressGuard::allow(std::string_view network) {
  std::string_view rest = network;
  std::string text(cut(rest, '/'));
  auto address = parse(text);
  bool v4 = text.find(':') == std::string::npos;
  bool has_bits = text.size() < network.size();
  auto bits = has_bits ? parse_number(rest, v4 ? 32 : 128) : std::optional<std::int64_t>(v4 ? 32 : 128);
  if (!address || !bits)
    return Error{Code::invalid,
                 "\"" + printable(std::string(network)) + "\" is not a network such as 10.0.0.0/8"};
  allowed_.push_back({*address, static_cast<int>(*bits) + (v4 ? kMappedBits : 0)});
  return Done{};
}

std::string AddressGuard::judge(const Bytes &address) const {
  if (open_)
    return "";
  Bytes target = address;
  if (is_in(address, kNat64)) {
    target = kMapped;
    std::copy(address.begin() + 12, address.end(), target.begin() + 12);
  }
  for (const Network &network : allowed_) {
    if (network.contains(target) || network.contains(address))
      return "";
  }
  const char *kind = kind_of(target);
  return kind != nullptr ? text_of(address) + " is " + kind : "";
}

std::string AddressGuard::objection(const sockaddr &address) const {
  Bytes bytes = kMapped;
  if (address.sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    std::memcpy(bytes.data() + 12, &v4.sin_addr, 4);
  } else if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, 16);
  } else {
    return open_ ? "" : "the address is neither IPv4 nor IPv6";
  }
  return judge(bytes);
}

std::string AddressGuard::objection(const std::string &address) const {
  auto bytes = parse(address);
  return bytes ? judge(*bytes) : "\"" + printable(address) + "\" is not an address";
}

}  // namespace await::curl
