#pragma once

#include "ngx/nginx.h"

namespace await::http {

/// `await_safe_types type…`
char *set_safe_types(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// The types that browsers may show without the directive.
ngx_array_t *default_safe_types(ngx_conf_t *cf);

}  // namespace await::http
