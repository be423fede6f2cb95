#pragma once

#include <optional>
#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

struct LocationConf;

/// The parameters webhook= and webhook_on= of a directive. Zeroed by nginx.
struct WebhookOptions {
  ngx_http_complex_value_t *url;  ///< null: none
  ngx_array_t *types;             ///< of ngx_str_t; null: the ending
  ngx_uint_t limited;             ///< the host may be the client's: it has to be one of await_webhook_hosts
};

/// Parses one of them. Null, or what is wrong with the value; empty: it is neither.
std::optional<const char *> parse_webhook_option(ngx_conf_t *cf, std::string_view name,
                                                 std::string_view value, WebhookOptions &options);

/// `await_webhook_hosts host…`
char *set_webhook_hosts(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// Takes over the hosts of the outer block, and requires some where a client may name the host.
char *merge_webhook_hosts(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner);

}  // namespace await::http
