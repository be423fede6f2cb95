#include "http/conf/webhook_options.h"

#include "base/text.h"
#include "http/conf/batch_options.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "ngx/str.h"
#include "wire/webhook_target.h"

namespace await::http {
namespace {

constexpr ngx_uint_t kMostTypes = 32;  // as await.check_webhook()

/// Whether the host of a URL with variables stands in front of the first one.
bool has_fixed_host(std::string_view url) {
  std::string_view start = url.substr(0, url.find('$'));
  auto host = start.find("://");
  return host != start.npos && start.find_first_of("/?", host + 3) != start.npos;
}

const char *parse_url(ngx_conf_t *cf, std::string_view value, WebhookOptions &options) {
  if (!compile(cf, ngx::borrow(value), &options.url))
    return "it cannot be compiled";
  options.limited = options.url->lengths != nullptr && !has_fixed_host(value) ? 1 : 0;
  // one that begins with a variable may be anything
  if (!value.starts_with('$') && !wire::parse_webhook_url(sample(value, "x")))
    return "it must be a URL such as \"https://example.com/hook\", without a user name or a fragment, or "
           "begin with a variable such as \"$arg_webhook\"";
  return nullptr;
}

const char *parse_types(ngx_conf_t *cf, std::string_view value, WebhookOptions &options) {
  options.types = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
  if (options.types == nullptr)
    return "there is no memory";
  do {
    std::string_view type = trim(cut(value, ','));
    if (!wire::is_webhook_type(type))
      return "it must be a list of event types such as \"pending,completed\", or \"*\"";
    if (is_listed(options.types, type))
      return "a type is given twice";
    auto *added = static_cast<ngx_str_t *>(ngx_array_push(options.types));
    if (added == nullptr)
      return "there is no memory";
    *added = ngx::borrow(type);
  } while (!value.empty());
  return options.types->nelts > kMostTypes ? "there are too many types" : nullptr;
}

}  // namespace

std::optional<const char *> parse_webhook_option(ngx_conf_t *cf, std::string_view name,
                                                 std::string_view value, WebhookOptions &options) {
  if (name == "webhook")
    return parse_url(cf, value, options);
  if (name == "webhook_on")
    return parse_types(cf, value, options);
  return std::nullopt;
}

char *set_webhook_hosts(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->webhook_hosts != nullptr)
    return const_cast<char *>("is duplicate");
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  location->webhook_hosts = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  if (location->webhook_hosts == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    if (!wire::is_webhook_host(ngx::view(words[i])))
      return invalid_value(
          cf, ngx::view(words[i]),
          "it must be a host such as \"hooks.example.com\", \"*.example.com\" or \"*\", with a "
          "port if it is not the default one, and \"http://\" in front if it has no TLS");
    auto *host = static_cast<ngx_str_t *>(ngx_array_push(location->webhook_hosts));
    if (host == nullptr)
      return static_cast<char *>(NGX_CONF_ERROR);
    *host = words[i];
  }
  return NGX_CONF_OK;
}

char *merge_webhook_hosts(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner) {
  if (inner.webhook_hosts == nullptr)
    inner.webhook_hosts = outer.webhook_hosts;
  if (!inner.webhook_at.known() || inner.webhook_hosts != nullptr)
    return NGX_CONF_OK;
  return directive_error(cf, inner.webhook_at,
                         "has \"webhook=\" with a variable that can name any host, so it requires "
                         "\"await_webhook_hosts\", as by \"await_webhook_hosts hooks.example.com;\"");
}

}  // namespace await::http
