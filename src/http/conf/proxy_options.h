#pragma once

#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

/// The parameters of one await_proxy. Zeroed by nginx.
struct ProxyOptions {
  ngx_str_t origin;  ///< of the back end, as wire::BackendUrl has it; empty: there is no await_proxy
  ngx_http_complex_value_t *uri;  ///< what is requested there; null: what the client requests
  ngx_uint_t methods;             ///< NGX_HTTP_POST and the like
  ngx_array_t *headers;           ///< of ngx_str_t, in lower case: those that are recorded
};

/// Parses `await_proxy <url> [methods=…] [headers=…]`; NGX_CONF_ERROR with the error logged.
char *parse_proxy_options(ngx_conf_t *cf, ProxyOptions &options);
bool records(const ProxyOptions &options, std::string_view lower_name);
/// The methods of `await_proxy`, and their bits in nginx.
struct ProxyMethod {
  std::string_view name;
  ngx_uint_t bit;
};
inline constexpr ProxyMethod kProxyMethods[] = {
    {"POST", NGX_HTTP_POST}, {"PUT", NGX_HTTP_PUT}, {"PATCH", NGX_HTTP_PATCH}, {"DELETE", NGX_HTTP_DELETE}};

}  // namespace await::http
