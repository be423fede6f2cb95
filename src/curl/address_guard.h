#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sockaddr;

namespace await::curl {

/// Says which addresses may be connected to, so that a URL given by somebody else does not lead into one's
/// own network (server-side request forgery). Asked with the address that is about to be connected to, after
/// the name has been resolved: a name that resolves to something else the second time gains nothing.
///
/// Only public unicast addresses are allowed, and the networks that were added. An IPv4 address within an
/// IPv6 one (mapped, NAT64) is judged as the IPv4 address that it leads to.
/// Source: IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890).
class AddressGuard {
 public:
  /// Allows every address: for URLs that only the operator can give.
  static AddressGuard open();

  /// Allows a network that would be refused, such as `10.1.0.0/16`, `fd00::/8` or `127.0.0.1`.
  Result<Done> allow(std::string_view network);

  /// Why this address must not be connected to, such as "10.0.0.1 is a private address"; empty if it may be.
  std::string objection(const sockaddr &address) const;
  /// The same for an address as text; a text that is no address is refused.
  std::string objection(const std::string &address) const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;  // an IPv4 address is in its mapped form

  struct Network {
    Bytes address;
    int bits;
    bool contains(const Bytes &other) const;
  };

  std::string judge(const Bytes &address) const;

  std::vector<Network> allowed_;
  bool open_ = false;
};

}  // namespace await::curl
