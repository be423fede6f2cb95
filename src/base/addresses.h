#pragma once

#include <string>
#include <vector>

namespace await {

/// Whether `host` is an IPv4 or IPv6 address, not a name.
bool is_numeric_address(const std::string &host);

/// The numeric addresses of a host name, each once, in the order of the resolver. Empty if there is none.
/// Blocks. Source: getaddrinfo(3).
std::vector<std::string> addresses_of(const std::string &name);

}  // namespace await
