// ngx_http_await_proxy_module: "await_proxy", which records whole requests as jobs, for a worker that plays
// them to a back end.

#include "http/conf/conf.h"
#include "http/conf/proxy_options.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_proxy_module;

namespace await::http {
namespace {

char *set_proxy(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto &options = *static_cast<ProxyOptions *>(conf);
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  if (options.origin.len > 0)
    return directive_error(cf, place_of(cf), "is duplicate");
  location->proxy_at = place_of(cf);
  return parse_proxy_options(cf, options);
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_proxy"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_proxy, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

void *create_location(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(ProxyOptions)); }

/// What cannot be checked before all directives of the location have been read.
char *check(ngx_conf_t *cf, const LocationConf &location) {
  auto error = [&](const char *what) { return directive_error(cf, location.proxy_at, what); };
  if (location.submit == nullptr && location.resources == nullptr)
    return error("requires \"await_submit\" or \"await\" in the same location");
  if (location.form_at.known())
    return error("cannot be used with \"file=\", because it passes on bodies as they are");
  if ((location.proxy->methods & NGX_HTTP_DELETE) != 0 &&
      (location.cancel != nullptr || location.batch_cancel != nullptr))
    return error(
        "has \"methods=\" with DELETE, which \"await_job\" or \"await_batch\" handles in this location");
  return NGX_CONF_OK;
}

/// Runs after the merge of ngx_http_await_module. Like an action, it is not inherited, but `if` and
/// limit_except blocks are part of their location.
char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  auto *outer = static_cast<ProxyOptions *>(parent);
  auto *inner = static_cast<ProxyOptions *>(child);
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  bool own = inner->origin.len > 0;
  if (!own && core->noname && location->submit != nullptr)
    *inner = *outer;
  location->proxy = inner->origin.len > 0 ? inner : nullptr;
  return own ? check(cf, *location) : NGX_CONF_OK;
}

ngx_http_module_t context = {nullptr, nullptr, nullptr,         nullptr,
                             nullptr, nullptr, create_location, merge_location};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_proxy_module = {NGX_MODULE_V1,
                                            &await::http::context,
                                            await::http::commands,
                                            NGX_HTTP_MODULE,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            NGX_MODULE_V1_PADDING};
