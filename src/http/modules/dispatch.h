#pragma once

#include "http/conf/conf.h"
#include "ngx/nginx.h"

namespace await::http {

// The actions of a location, and which of them answers which request.

/// The content handler of every location with an action.
ngx_int_t dispatch(ngx_http_request_t *r);

/// An error where a location has an action and a handler of another module.
char *refuse_other_handler(ngx_conf_t *cf, const LocationConf &location);
/// The actions do not inherit, but `if` and limit_except blocks are part of their location.
void merge_actions(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner);

}  // namespace await::http
