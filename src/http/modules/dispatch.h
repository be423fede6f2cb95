#pragma once

#include <string>

#include "http/conf/conf.h"
#include "ngx/nginx.h"

namespace await::http {

// The actions of a location, and which of them handles which request.

/// The content handler of every location with an action.
ngx_int_t dispatch(ngx_http_request_t *r);

/// For the directives of the actions: sets the handler of an action in the location, and dispatch() as the
/// content handler of nginx. Returns the configuration of the location; null if the location cannot have this
/// action, the error is logged.
LocationConf *add_action(ngx_conf_t *cf, Handler LocationConf::*action, Handler handler);
bool has_action(const LocationConf &location);
/// Every method that a location answers, for Allow.
std::string allowed_methods(const LocationConf &location);

/// Sets the content handler of the location that is being read. An error if it has another one.
char *set_content(ngx_conf_t *cf, ngx_http_handler_pt handler);
/// An error if a directive that follows one of ours in the location has replaced its content handler.
char *refuse_other_handler(ngx_conf_t *cf, const LocationConf &location);
/// Actions are not inherited, but `if` and limit_except blocks are part of their location.
void merge_actions(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner);
/// Replaces the actions of a location by those of another one.
void take_actions(LocationConf &location, const LocationConf &from);

}  // namespace await::http
