#include "http/conf/resolve.h"

#include <arpa/inet.h>

#include <string>

#include "base/text.h"
#include "ngx/str.h"
#include "pg/hosts.h"
#include "redis/connection.h"

namespace await::http {
namespace {

bool is_numeric(const std::string &host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
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
  std::string unknown;
  if (!pg::resolve_hosts(*options, unknown))
    return keep(cf, unresolved(unknown));
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
  auto addresses = pg::addresses_of(address->host);
  if (addresses.empty())
    return keep(cf, unresolved(address->host));
  const std::string &numeric = addresses.front();
  std::string text(ngx::view(url));
  auto begin = text.rfind('@');
  auto at = text.find(address->host, begin == std::string::npos ? 8 : begin + 1);
  bool v6 = numeric.find(':') != std::string::npos;
  text.replace(at, address->host.size(), v6 ? "[" + numeric + "]" : numeric);
  *out = ngx::copy(cf->pool, text);
  return nullptr;
}

}  // namespace await::http
