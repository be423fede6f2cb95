#include "http/conf/resolve.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/addresses.h"
#include "base/text.h"
#include "ngx/str.h"
#include "pg/hosts.h"
#include "redis/connection.h"

namespace await::http {
namespace {

const char *keep(ngx_conf_t *cf, const std::string &text) {
  return reinterpret_cast<const char *>(ngx::copy(cf->pool, text + '\0').data);
}

/// If a password contains an unescaped @, what follows it is parsed as the host: only the part after the last
/// @ may be shown.
std::string unresolved(const std::string &host) {
  return "host not found: \"" + host.substr(host.rfind('@') + 1) + "\"";
}

/// The user that nginx workers will run as, as far as it is known yet.
uid_t worker_user(ngx_conf_t *cf) {
  auto *core = reinterpret_cast<ngx_core_conf_t *>(ngx_get_conf(cf->cycle->conf_ctx, ngx_core_module));
  if (geteuid() != 0)
    return geteuid();  // the directive "user" has no effect then
  if (core->user != static_cast<ngx_uid_t>(NGX_CONF_UNSET_UINT))
    return core->user;
  const passwd *user = getpwnam(NGX_USER);
  return user != nullptr ? user->pw_uid : geteuid();
}

/// What libpq would not accept when an nginx worker connects. The file has been opened already, but maybe by
/// root.
std::string file_complaint(const std::string &keyword, const std::string &path, uid_t worker) {
  struct stat file {};
  if ((keyword != "passfile" && keyword != "sslkey") || stat(path.c_str(), &file) != 0)
    return {};
  bool root_key = keyword == "sslkey" && file.st_uid == 0;
  if ((file.st_mode & (root_key ? 037U : 077U)) != 0)
    return "\"" + keyword +
           "\" can be read by others than its owner, so libpq does not use it; set mode 0600";
  if (file.st_uid != worker && worker != 0 && (file.st_mode & 077U) == 0)
    return "\"" + keyword + "\" cannot be read by nginx workers, it must belong to their user";
  return {};
}

/// libpq's default for verify-ca and verify-full is a file in the home directory of the nginx workers.
bool lacks_root_certificate(const pg::Options &options, uid_t worker) {
  bool verifies = false;
  for (const auto &[keyword, value] : options) {
    verifies = verifies || (keyword == "sslmode" && value.starts_with("verify-"));
    if ((keyword == "sslrootcert" && !value.empty()) || keyword == "service")
      return false;
  }
  const passwd *user = getpwuid(worker);
  return verifies && (user == nullptr ||
                      access((std::string(user->pw_dir) + "/.postgresql/root.crt").c_str(), R_OK) != 0);
}

std::string worker_complaint(ngx_conf_t *cf, const pg::Options &options) {
  uid_t worker = worker_user(cf);
  for (const auto &[keyword, value] : options) {
    if (std::string wrong = file_complaint(keyword, value, worker); !wrong.empty())
      return wrong;
  }
  if (lacks_root_certificate(options, worker))
    return "\"sslmode\" verify-ca and verify-full require \"sslrootcert\", the file of the trusted "
           "certificates";
  return {};
}

}  // namespace

const char *resolve_postgres(ngx_conf_t *cf, const ngx_str_t &conninfo, ngx_str_t *out) {
  auto options = pg::parse_conninfo(std::string(ngx::view(conninfo)));
  if (!options)
    return keep(cf, options.error().detail);
  if (std::string wrong = worker_complaint(cf, *options); !wrong.empty())
    return keep(cf, wrong);
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
  if (!address->path.empty() || is_numeric_address(address->host))
    return nullptr;
  auto addresses = addresses_of(address->host);
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
