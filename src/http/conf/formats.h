#pragma once

#include <string_view>

#include "ngx/nginx.h"
#include "wire/event_encoding.h"
#include "wire/format.h"

namespace await::http {

/// await_format
char *set_format(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// await_event_types
char *set_event_types(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// Whether events of this type can be published: it is well-formed, and not one of the module's own types. As
/// await.check_event_type().
bool is_event_type(std::string_view word);

/// An action's option `word`, if it is `<name>=<format>`: the format goes to `out`. False: it is another
/// option. An error is logged, and is in `rc`.
bool take_format(ngx_conf_t *cf, std::string_view word, std::string_view name, const wire::Format **out,
                 char **rc);

/// How this location writes events.
const wire::EventEncoding *make_shape(ngx_http_request_t *r, const wire::Format *event, bool thin);

}  // namespace await::http
