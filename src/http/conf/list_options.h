#pragma once

#include "ngx/nginx.h"
#include "wire/format.h"

namespace await::http {

struct LocationConf;

/// The parameters of a directive that lists jobs or batches. Zeroed by nginx.
struct ListConf {
  ngx_http_complex_value_t *queue;  ///< of jobs; null: any
  const wire::Format *format;       ///< of each entry; null: as in docs/http.md
  ngx_uint_t used;                  ///< the directive stands here
  ngx_uint_t all;                   ///< what everybody has, not only the owner
};

/// Parses `[queue] [all] [format=…]`.
/// @param location  null: the directive was refused, and the error logged
/// @param takes_queue  whether there is a queue to be named
char *parse_list_options(ngx_conf_t *cf, LocationConf *location, bool takes_queue, ListConf &conf);

}  // namespace await::http
