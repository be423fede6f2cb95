#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ngx/nginx.h"

namespace await::http {

// Setters of directives with one value. Unlike those of nginx, their errors say which values are allowed.

/// The `post` of a command with one of the setters below.
struct Bounds {
  std::int64_t least;
  std::int64_t most;
  const char *rule;  ///< for the error: `it must be …`
};

/// A time, into an ngx_msec_t.
char *set_time(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// A size, into a size_t.
char *set_size(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// A number, into an ngx_int_t.
char *set_count(ngx_conf_t *cf, ngx_command_t *command, void *conf);
/// A URI with variables, into an ngx_http_complex_value_t *.
char *set_uri(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// What this location is, if it is no prefix; else null.
const char *other_kind(const ngx_http_core_loc_conf_t &core);
/// `text` with `word` in place of each variable: what it looks like when it is evaluated.
std::string sample(std::string_view text, std::string_view word);
/// Refuses the directive if one of its words from `first` on is there twice, or one of its parameters
/// `name=value` is.
char *refuse_twice(ngx_conf_t *cf, ngx_uint_t first);

}  // namespace await::http
