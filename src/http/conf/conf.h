#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ngx/answer.h"
#include "ngx/nginx.h"
#include "wire/event_encoding.h"

extern ngx_module_t ngx_http_await_module;

namespace await::http {

/// A queue and a priority that submissions go to.
struct LaneName {
  ngx_str_t queue;
  ngx_int_t priority;
};

/// What the http block says. Zeroed by nginx, then filled.
struct MainConf {
  ngx_str_t postgres;  ///< conninfo, names resolved
  ngx_array_t *redis;  ///< of ngx_str_t: URLs, names resolved
  ngx_flag_t redis_off;
  ngx_msec_t reread;
  ngx_msec_t drain;
  ngx_int_t batch_rows;      ///< of a submission's batch
  ngx_int_t batch_flights;   ///< batches on their way
  ngx_shm_zone_t *counters;  ///< where the numbers of await_metrics are
  size_t value_max;          ///< the largest await_value_max of all locations
  ngx_array_t *formats;      ///< of await_format; null: none
  ngx_array_t *lanes;        ///< of LaneName: what await_submit names literally
  ngx_str_t used_by;         ///< the first action, for errors; empty: we do nothing at all
  ngx_str_t used_file;
  ngx_uint_t used_line;
};

using Handler = ngx::Answer (*)(ngx_http_request_t *);

/// await_hints: whether what a hint proves is answered without a read.
enum Trust : ngx_uint_t { kSigned, kVerified };

/// await_idempotency: what becomes of an Idempotency-Key.
enum Keys : ngx_uint_t { kKeysOff, kKeysOn, kKeysRequired };

/// What a location says. The actions do not inherit; all else does.
struct LocationConf {
  Handler submit;
  Handler job;
  Handler cancel;
  Handler result;
  Handler events;
  Handler socket;
  Handler publish;
  Handler ticket;
  Handler metrics;

  const wire::Format *submitted;  ///< how a submission's document is written; null: as docs/http.md has it
  const wire::Format *document;   ///< and await_job's
  ngx_http_complex_value_t *owner;
  ngx_flag_t scoped;              ///< off: await_owner off
  ngx_array_t *allow;             ///< of ngx_str_t: patterns of channels; null: none
  wire::EventTypes *event_types;  ///< null: as they are
  ngx_array_t *origins;           ///< of ngx_str_t, lower case: besides our own
  ngx_flag_t any_origin;          ///< await_origins any
  ngx_http_complex_value_t *job_uri;
  ngx_http_complex_value_t *result_uri;
  ngx_msec_t hold;
  ngx_msec_t hold_max;
  ngx_msec_t ping;
  ngx_msec_t ping_socket;
  ngx_msec_t retry_min;
  ngx_msec_t retry_max;
  size_t value_max;
  ngx_array_t *safe_types;  ///< of ngx_str_t, lower case
  ngx_flag_t park;
  ngx_uint_t idempotency;  ///< Keys
  time_t keep_keys;        ///< seconds
  ngx_uint_t hints;        ///< Trust
  ngx_shm_zone_t *cache;   ///< null: off
  ngx_int_t max_held;
  ngx_int_t max_inflight;
  size_t max_buffered;
  size_t max_uploads;      ///< of all bodies under way
  size_t max_frame;        ///< of what a socket's client sends
  ngx_int_t max_channels;  ///< of a socket
  ngx_str_t problem_base;
};

MainConf &main_conf(ngx_http_request_t *r);
const LocationConf &location_conf(ngx_http_request_t *r);
std::int64_t retry_ms(const LocationConf &location);

/// For the directives of the actions: the location's settings, with the dispatcher as its handler and
/// the use noted. Null, with the error logged, where the same action was there before.
LocationConf *add_action(ngx_conf_t *cf, Handler LocationConf::*action, Handler handler);

/// Nothing: unscoped. Empty: nobody, so 403.
std::optional<std::string_view> owner_of(ngx_http_request_t *r);
std::string_view problem_base(ngx_http_request_t *r);
/// When an event stream's client shall come back: anything between await_retry's bounds, milliseconds.
std::int64_t retry_ms(ngx_http_request_t *r);
/// When a client may come back, in whole seconds, at least 1: await_retry's lower bound, or anything
/// between the bounds while nginx shuts down, so that a herd does not come back in one instant.
std::int64_t retry_after_s(ngx_http_request_t *r);

/// Parses and checks `await_postgres`: names become addresses now, for libpq's look-up would block.
/// @return an error text, or null with `out` filled
const char *resolve_postgres(ngx_conf_t *cf, const ngx_str_t &conninfo, ngx_str_t *out);
/// The same for one URL of `await_redis`.
const char *resolve_redis(ngx_conf_t *cf, const ngx_str_t &url, ngx_str_t *out);

/// Logs `<what> in <file>:<line>` at the place that nginx is reading. Returns NGX_CONF_ERROR, to be returned.
char *config_error(ngx_conf_t *cf, const char *what);
/// The same, as `"<word>" <what>`.
char *config_error(ngx_conf_t *cf, std::string_view word, const char *what);
/// The same, as `invalid value "<word>" in "<directive>" directive, <rule>`. Only while the directive is
/// read: its name is the first of `cf->args`.
char *invalid_value(ngx_conf_t *cf, std::string_view word, const char *rule);
/// The same, as `invalid parameter "<word>" …`.
char *invalid_parameter(ngx_conf_t *cf, std::string_view word, const char *rule);
/// Every method that a location answers, for Allow.
std::string allowed_methods(const LocationConf &location);
/// A complex value of `text`; false with the error logged.
bool compile(ngx_conf_t *cf, ngx_str_t text, ngx_http_complex_value_t **out);

}  // namespace await::http
