#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/job.h"
#include "http/conf/webhook_options.h"
#include "ngx/nginx.h"
#include "wire/event_encoding.h"

namespace await::http {

/// The parameters of one await_submit. Zeroed by nginx.
struct SubmitOptions {
  ngx_http_complex_value_t *queue;
  ngx_http_complex_value_t *batch;  ///< batch=: the id of the batch that the job is added to; null: none
  ngx_http_complex_value_t *phase;  ///< phase=: of that batch; null: none
  ngx_str_t file;       ///< file=: the form field that is the payload; empty: forms are taken whole
  ngx_array_t *types;   ///< type=: of ngx_str_t; null: any
  ngx_array_t *params;  ///< params=: of ngx_str_t; null: all other fields
  ngx_int_t priority;
  ngx_int_t max_attempts;           ///< 0: the queue's
  ngx_int_t max_pending;            ///< 0: any number of jobs may wait in the queue
  ngx_int_t max_pending_per_owner;  ///< 0: and any number of one owner's
  std::int64_t lease_ms;            ///< 0: the queue's
  std::int64_t delay_ms;
  std::int64_t deadline_ms;
  ngx_uint_t retention;  ///< class
  WebhookOptions webhook;
  const wire::EventEncoding *encoding;  ///< of streams of events; made at first use
};

struct LocationConf;

/// Parses an option that await_submit and await_batch share. Null, or what is wrong with the value; empty:
/// there is no such option.
std::optional<const char *> parse_job_option(ngx_conf_t *cf, std::string_view name, std::string_view value,
                                             SubmitOptions &options);
/// Parses `await_submit <queue> [option=value …]`; NGX_CONF_ERROR with the error logged.
char *parse_submit_options(ngx_conf_t *cf, LocationConf &location, SubmitOptions &options);
core::PendingLimits pending_limits(const SubmitOptions &options);
/// Applies the options to a job.
void apply(const SubmitOptions &options, core::NewJob &job);
bool is_queue_name(std::string_view name);
/// Whether `media_type` is one of type=; "image/*" stands for all images.
bool is_taken(const SubmitOptions &options, std::string_view media_type);
/// Whether the form field `name` becomes a param.
bool is_param(const SubmitOptions &options, std::string_view name);

}  // namespace await::http
