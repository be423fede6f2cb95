#include "http/exchange/origins.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "http/exchange/request.h"
#include "ngx/str.h"

namespace await::http {
namespace {

/// `scheme://host[:port]`, as browsers write it: without a port that is the scheme's default.
bool is_origin(std::string_view word) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!word.starts_with(scheme))
      continue;
    std::string_view host = word.substr(scheme.size());
    std::string_view port;
    if (auto colon = host.rfind(':'); colon != host.npos && host.find(']', colon) == host.npos) {
      port = host.substr(colon + 1);
      host = host.substr(0, colon);
      if (parse_number(port, 65535).value_or(0) == 0 || port == (scheme == "http://" ? "80" : "443"))
        return false;
    }
    bool v6 = host.starts_with('[') && host.ends_with(']');
    return !host.empty() && host.find_first_of(v6 ? "/?#@, *" : "/?#@, *:[]") == host.npos;
  }
  return false;
}

bool is_listed(const ngx_array_t *origins, std::string_view origin) {
  if (origins == nullptr)
    return false;
  auto *items = static_cast<ngx_str_t *>(origins->elts);
  return std::any_of(items, items + origins->nelts,
                     [&](const ngx_str_t &one) { return ngx::view(one) == origin; });
}

/// The console is for its own page only, whatever await_origins says.
bool is_for_any(const LocationConf &location) {
  return location.any_origin == 1 && location.console == nullptr;
}

bool is_for(const LocationConf &location, std::string_view origin) {
  return location.console == nullptr && is_listed(location.origins, origin);
}

}  // namespace

char *set_origins(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->any_origin != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  location->origins = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  location->any_origin = 0;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string word = lower(ngx::view(words[i]));
    if (word == "any") {
      location->any_origin = 1;
    } else if (word != "same") {
      if (!is_origin(word))
        return invalid_value(
            cf, ngx::view(words[i]),
            "it must be \"same\", \"any\" or an origin without a path, a \"*\" or a default port, such as "
            "\"https://example.com\"");
      auto *origin = static_cast<ngx_str_t *>(ngx_array_push(location->origins));
      *origin = ngx::copy(cf->pool, word);
    }
  }
  if (location->any_origin == 1 && cf->args->nelts > 2)
    return invalid_value(cf, "any", "it cannot be used with other origins");
  return NGX_CONF_OK;
}

bool is_welcome(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  if (is_for_any(location))
    return true;
  std::string site = lower(trim(header(r, "sec-fetch-site")));
  std::string origin = lower(trim(header(r, "origin")));
  if (is_for(location, origin))
    return true;
  if (!site.empty())
    return site == "same-origin" || site == "none";
  if (origin.empty())
    return true;
  // the scheme says nothing: TLS may end in front of us
  auto host = origin.find("://");
  return host != origin.npos && origin.substr(host + 3) == lower(trim(header(r, "host")));
}

std::string readable_by(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  if (is_for_any(location))
    return "*";
  std::string field = header(r, "origin");
  std::string origin(trim(field));
  return is_for(location, lower(origin)) ? origin : "";
}

}  // namespace await::http
