#pragma once

#include <optional>
#include <string_view>

#include "http/conf/submit_options.h"
#include "ngx/nginx.h"
#include "wire/batch_job.h"

namespace await::http {

/// The parameters of the await_batch directives of a location. Zeroed by nginx.
struct BatchConf {
  ngx_http_complex_value_t *id;  ///< of the batch that is read; null: none is
  ngx_uint_t text_first;         ///< default=text
  ngx_array_t *queues;           ///< queues=: of ngx_str_t; null: no batch is submitted here
  ngx_array_t *phases;           ///< phases=: of ngx_str_t, in their order; null: none
  ngx_str_t on_ready;            ///< a queue; empty: none
  wire::BatchOptions allowed;    ///< options=: what a job may have
  SubmitOptions jobs;            ///< of each job; its deadline is the batch's, its queue is not used
  ngx_uint_t given;              ///< a directive stands here
};

/// What an `await_batch` directive is for.
struct BatchUse {
  bool reads = false;
  bool submits = false;
};
/// Parses `await_batch [id] [option=value …]`; empty with the error logged.
std::optional<BatchUse> parse_batch_options(ngx_conf_t *cf, LocationConf &location, BatchConf &conf);

/// Whether the word is in the list.
bool is_listed(const ngx_array_t *list, std::string_view word);

}  // namespace await::http
