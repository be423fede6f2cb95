#include "http/conf/proxy_options.h"

#include <algorithm>
#include <string>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "ngx/str.h"
#include "wire/replay.h"

namespace await::http {
namespace {

constexpr std::string_view kDefaultHeaders[] = {"accept", "accept-language"};
constexpr char kUrl[] =
    "it must be a URL such as \"http://backend:9000\", in which only the path can contain variables";

char *parse_url(ngx_conf_t *cf, ngx_str_t word, ProxyOptions &options) {
  std::string_view url = ngx::view(word);
  auto authority = url.find("://");
  auto slash = authority == url.npos ? url.npos : url.find('/', authority + 3);
  auto backend = wire::parse_backend(url.substr(0, slash));
  if (!backend)
    return invalid_value(cf, url, kUrl);
  options.origin = ngx::copy(cf->pool, backend->origin);
  if (slash == url.npos)
    return NGX_CONF_OK;
  std::string_view path = url.substr(slash);
  if (!wire::clean_target(sample(path, "x")))
    return invalid_value(cf, url, "its path must have no segments \".\" and \"..\"");
  return compile(cf, ngx::borrow(path), &options.uri) ? NGX_CONF_OK : static_cast<char *>(NGX_CONF_ERROR);
}

const char *parse_methods(std::string_view list, ProxyOptions &options) {
  options.methods = 0;
  while (!list.empty()) {
    std::string_view name = cut(list, ',');
    auto *found = std::find_if(std::begin(kProxyMethods), std::end(kProxyMethods),
                               [&](const ProxyMethod &method) { return method.name == name; });
    if (found == std::end(kProxyMethods))
      return "a method must be one of POST, PUT, PATCH and DELETE";
    options.methods |= found->bit;
  }
  return options.methods != 0 ? nullptr : "it must name methods such as POST,PUT";
}

void add_header_name(ngx_conf_t *cf, std::string_view name, ProxyOptions &options) {
  if (!records(options, lower(name)))
    *static_cast<ngx_str_t *>(ngx_array_push(options.headers)) = ngx::copy(cf->pool, lower(name));
}

const char *parse_headers(ngx_conf_t *cf, std::string_view list, ProxyOptions &options) {
  if (list.empty())
    return "it must name headers such as X-Tenant,Cookie";
  while (!list.empty()) {
    std::string_view name = trim(cut(list, ','));
    if (!is_token(name))
      return "it must be a list of names of headers";
    if (!wire::is_replayed_header(name))
      return "it names a header that belongs to the connection, or that the worker sets";
    add_header_name(cf, name, options);
  }
  return nullptr;
}

}  // namespace

bool records(const ProxyOptions &options, std::string_view lower_name) {
  auto *names = static_cast<ngx_str_t *>(options.headers->elts);
  return std::any_of(names, names + options.headers->nelts,
                     [&](const ngx_str_t &name) { return ngx::view(name) == lower_name; });
}

char *parse_proxy_options(ngx_conf_t *cf, ProxyOptions &options) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  options.methods = NGX_HTTP_POST;
  options.headers = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
  for (std::string_view name : kDefaultHeaders)
    add_header_name(cf, name, options);
  if (char *rc = parse_url(cf, words[1], options); rc != NGX_CONF_OK)
    return rc;
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view value = ngx::view(words[i]);
    std::string_view name = cut(value, '=');
    const char *why = name == "methods"   ? parse_methods(value, options)
                      : name == "headers" ? parse_headers(cf, value, options)
                                          : "it must be one of methods= and headers=";
    if (why != nullptr)
      return invalid_parameter(cf, ngx::view(words[i]), why);
  }
  return refuse_twice(cf, 2);
}

}  // namespace await::http
