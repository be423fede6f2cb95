#include <algorithm>

#include "base/text.h"
#include "redis/connection.h"

namespace await::redis {
namespace {

std::string undo_percent(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto hex = [](char c) {
      return c >= '0' && c <= '9'                     ? c - '0'
             : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                      : -1;
    };
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) << 4 | hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

Result<Address> parse_url(std::string_view url) {
  Address address;
  if (url.starts_with("unix:")) {
    address.path = url.substr(5);
    return address.path.starts_with('/')
               ? address
               : Result<Address>(Error{Code::invalid, "\"unix:\" requires a path that begins with \"/\""});
  }
  if (url.starts_with("rediss://"))
    return Error{Code::invalid,
                 "TLS (\"rediss://\") is not supported, use stunnel or another local TLS proxy"};
  if (!url.starts_with("redis://"))
    return Error{Code::invalid, "it must begin with \"redis://\" or \"unix:\""};
  url.remove_prefix(8);
  if (auto at = url.rfind('@'); at != std::string_view::npos) {
    std::string_view password = url.substr(0, at);
    address.user = undo_percent(cut(password, ':'));
    address.password = undo_percent(password);
    url.remove_prefix(at + 1);
  }
  std::string_view host = cut(url, '/');
  if (!url.empty()) {
    auto database = parse_number(url, 1'000'000);
    if (!database)
      return Error{Code::invalid, "the database after the slash must be a number"};
    address.database = static_cast<int>(*database);
  }
  std::string_view port;
  if (host.starts_with('[')) {
    auto end = host.find(']');
    if (end == host.npos || (end + 1 < host.size() && host[end + 1] != ':'))
      return Error{Code::invalid, "an IPv6 address must be in the form \"[address]:port\""};
    port = host.substr(std::min(end + 2, host.size()));
    host = host.substr(1, end - 1);
  } else {
    port = host;
    host = cut(port, ':');
  }
  address.host = host;
  if (!port.empty()) {
    auto number = parse_number(port, 65535);
    if (!number || *number == 0)
      return Error{Code::invalid, "the port must be a number from 1 to 65535"};
    address.port = static_cast<int>(*number);
  }
  if (address.host.empty())
    return Error{Code::invalid, "the host is missing"};
  return address;
}

std::string address_text(const Address &address) {
  if (!address.path.empty())
    return "unix:" + address.path;
  bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace await::redis
