#include "http/conf/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "ngx/str.h"
#include "pg/conninfo.h"
#include "redis/connection.h"

namespace await::http {
namespace {

bool is_numeric(const std::string &host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

/// The first address of `host`; empty if there is none.
std::string look_up(const std::string &host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo *raw = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &raw) != 0)
    return {};
  std::unique_ptr<addrinfo, void (*)(addrinfo *)> found(raw, freeaddrinfo);
  char text[NI_MAXHOST];
  if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
    return {};
  return text;
}

const char *keep(ngx_conf_t *cf, const std::string &text) {
  return reinterpret_cast<const char *>(ngx::copy(cf->pool, text + '\0').data);
}

/// If a password contains an unescaped @, what follows it is parsed as the host: only the part after the last
/// @ may be shown.
std::string unresolved(const std::string &host) {
  return "host not found: \"" + host.substr(host.rfind('@') + 1) + "\"";
}

}  // namespace

const char *resolve_postgres(ngx_conf_t *cf, const ngx_str_t &conninfo, ngx_str_t *out) {
  auto options = pg::parse_conninfo(std::string(ngx::view(conninfo)));
  if (!options)
    return keep(cf, options.error().detail);
  std::string_view rest;
  bool given = false;  // hostaddr= is set
  for (const auto &[keyword, value] : *options) {
    if (keyword == "host")
      rest = value;
    given = given || keyword == "hostaddr";
  }
  std::string addresses;
  while (!given && !rest.empty()) {
    std::string host(cut(rest, ','));
    std::string address = host.empty() || host[0] == '/' || host[0] == '@' ? ""
                          : is_numeric(host)                               ? host
                                                                           : look_up(host);
    if (address.empty() && !host.empty() && host[0] != '/' && host[0] != '@')
      return keep(cf, unresolved(host));
    addresses += address + (rest.empty() ? "" : ",");
  }
  if (addresses.find_first_not_of(',') != std::string::npos)
    options->emplace_back("hostaddr", addresses);
  *out = ngx::copy(cf->pool, pg::to_conninfo(*options));
  return nullptr;
}

const char *resolve_redis(ngx_conf_t *cf, const ngx_str_t &url, ngx_str_t *out) {
  auto address = redis::parse_url(ngx::view(url));
  if (!address)
    return keep(cf, address.error().detail);
  *out = url;
  if (!address->path.empty() || is_numeric(address->host))
    return nullptr;
  std::string numeric = look_up(address->host);
  if (numeric.empty())
    return keep(cf, unresolved(address->host));
  std::string text(ngx::view(url));
  auto begin = text.rfind('@');
  auto at = text.find(address->host, begin == std::string::npos ? 8 : begin + 1);
  bool v6 = numeric.find(':') != std::string::npos;
  text.replace(at, address->host.size(), v6 ? "[" + numeric + "]" : numeric);
  *out = ngx::copy(cf->pool, text);
  return nullptr;
}

}  // namespace await::http
