#pragma once

#include "ngx/nginx.h"

namespace await::http {

/// Remembers the variables that `text`, a word of the directive that is being read, contains.
void note_variables(ngx_conf_t *cf, ngx_str_t text);
/// Refuses variables that nothing defines. nginx would too, but without the file and the line. Call when all
/// directives have been read.
/// @return NGX_CONF_ERROR with the error logged
char *refuse_unknown_variables(ngx_conf_t *cf);

}  // namespace await::http
