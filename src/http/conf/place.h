#pragma once

#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

/// Where a directive stands, for errors that are found only after other directives have been read. Zeroed:
/// it does not stand anywhere.
struct Place {
  ngx_str_t directive;
  ngx_str_t file;
  ngx_uint_t line;
  bool known() const { return line != 0; }
};

/// The directive that is being read.
Place place_of(ngx_conf_t *cf);
/// Logs `<text> in <file>:<line>`, and returns NGX_CONF_ERROR.
char *error_at(ngx_conf_t *cf, const Place &place, std::string_view text);
/// The same with `"<directive>" directive <what>`.
char *directive_error(ngx_conf_t *cf, const Place &place, std::string_view what);

}  // namespace await::http
