#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/conf/place.h"
#include "ngx/answer.h"
#include "ngx/nginx.h"
#include "wire/event_encoding.h"

extern ngx_module_t ngx_http_await_module;

namespace await::http {

/// A queue, and a priority of the jobs that are submitted to it.
struct LaneName {
  ngx_str_t queue;
  ngx_int_t priority;
};

/// The directives of the http block.
struct MainConf {
  ngx_str_t postgres;  ///< conninfo, names resolved
  ngx_array_t *redis;  ///< of ngx_str_t: URLs, names resolved
  ngx_flag_t redis_off;
  ngx_msec_t reread;
  ngx_msec_t drain;
  ngx_int_t batch_rows;        ///< of a submission's batch
  ngx_int_t batch_flights;     ///< batches that are sent at the same time
  ngx_flag_t wants_queues;     ///< a location has await_metrics
  ngx_shm_zone_t *queues;      ///< the zone of QueueCache; null: not needed
  ngx_flag_t wants_console;    ///< a location has await_console
  ngx_shm_zone_t *console;     ///< the zone of ConsoleFeed; null: not needed
  ngx_shm_zone_t *deliveries;  ///< the zone of DeliveryLog
  ngx_shm_zone_t *node;        ///< the zone of NodeReport
  ngx_shm_zone_t *counters;    ///< the zone of Counters
  size_t value_max;            ///< the largest await_value_max of all locations
  ngx_int_t request_id;        ///< the index of nginx's variable $request_id
  ngx_array_t *formats;        ///< of await_format; null: none
  ngx_array_t *lanes;          ///< of LaneName: the queues that await_submit names without variables
  Place used_by;               ///< the first directive with an action; unknown: none, so nothing is started
  Place redis_required_at;     ///< of await_health
  ngx_array_t *variables;      ///< that directives contain, for variables.cc; null: none
  ngx_array_t *cache_uses;     ///< of await_cache, for zone_cache.cc; null: none
};

class Runtime;
struct ProxyOptions;

/// The content handler of an action.
using Handler = ngx::Answer (*)(ngx_http_request_t *, Runtime &);

/// await_hints: whether signed hints are used without a read.
enum Trust : ngx_uint_t { kSigned, kVerified };

/// await_idempotency: whether an Idempotency-Key is used.
enum Keys : ngx_uint_t { kKeysOff, kKeysOn, kKeysRequired };

/// The directives of a location. The actions are not inherited; everything else is.
struct LocationConf {
  Handler submit;
  Handler job;
  Handler cancel;
  Handler batch_submit;
  Handler batch;
  Handler batch_cancel;
  Handler result;
  Handler jobs;
  Handler batches;
  Handler events;
  Handler socket;
  Handler publish;
  Handler ticket;
  Handler retry_job;
  Handler webhooks;
  Handler retry_delivery;
  Handler console;
  Handler console_act;
  Handler metrics;
  Handler health;
  Handler resources;            ///< of a location with "await": for all paths that are none of its resources
  ngx_http_handler_pt content;  ///< nginx's handler that the directive at content_at has set
  Place content_at;

  const ProxyOptions *proxy;  ///< what is recorded of a submission; null: it is no whole request
  Place proxy_at;

  const wire::Format *submitted;       ///< of the response to a submission; null: as in docs/http.md
  const wire::Format *document;        ///< of the response of await_job
  const wire::Format *batch_document;  ///< of the responses of await_batch
  ngx_http_complex_value_t *owner;
  ngx_flag_t scoped;              ///< off: await_owner off
  Place user_channel_at;          ///< where a channel user: is named
  Place owner_needed_at;          ///< a list of what an owner has
  Place owner_quota_at;           ///< where max_pending_per_owner= stands
  Place form_at;                  ///< where file= stands
  Place webhook_at;               ///< where webhook= stands with a host that a client may name
  ngx_array_t *webhook_hosts;     ///< of ngx_str_t: patterns of hosts; null: none
  ngx_array_t *allow;             ///< of ngx_str_t: patterns of channels; null: none
  wire::EventTypes *event_types;  ///< null: they are not changed
  ngx_array_t *origins;           ///< of ngx_str_t, lower case: in addition to the own origin
  ngx_flag_t any_origin;          ///< await_origins any
  ngx_http_complex_value_t *job_uri;
  ngx_http_complex_value_t *result_uri;
  ngx_http_complex_value_t *batch_uri;
  ngx_uint_t levels_below_jobs;  ///< of a batch of "await": how many segments of its path to leave out for
                                 ///< that of jobs
  ngx_msec_t hold;
  ngx_msec_t hold_max;
  Place hold_at;
  Place hold_max_at;
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
  ngx_msec_t cache_open;   ///< for how long a batch that has not ended is cached; 0: it is not
  ngx_int_t max_held;
  ngx_int_t max_inflight;
  size_t max_buffered;
  size_t max_uploads;      ///< bytes of all bodies in progress
  size_t max_frame;        ///< of a message of a WebSocket's client
  ngx_int_t max_channels;  ///< of a WebSocket
  ngx_str_t problem_base;
  ngx_flag_t sends_request_id;
  ngx_http_complex_value_t *request_id;  ///< null: nginx's $request_id
};

MainConf &main_conf(ngx_http_request_t *r);
const LocationConf &location_conf(ngx_http_request_t *r);

/// The owner that a request acts for. Nothing: await_owner is off. Empty: not authenticated, so 403.
std::optional<std::string_view> owner_of(ngx_http_request_t *r);
/// await_problem_base
std::string_view problem_base(ngx_http_request_t *r);

// For directives, while nginx reads its configuration. The functions that return char * log an error with the
// current file and line, and return NGX_CONF_ERROR for the caller to return.

/// Logs `what`.
char *config_error(ngx_conf_t *cf, const char *what);
/// Logs `"<word>" <what>`.
char *config_error(ngx_conf_t *cf, std::string_view word, const char *what);
/// Logs `invalid value "<word>" in "<directive>" directive, <rule>`. Only while the directive is read: its
/// name is the first element of `cf->args`.
char *invalid_value(ngx_conf_t *cf, std::string_view word, const char *rule);
/// The same with `invalid parameter "<word>"`.
char *invalid_parameter(ngx_conf_t *cf, std::string_view word, const char *rule);
/// Compiles `text`, a word of the directive that is being read, which may contain variables. Returns false if
/// that fails; the error is logged.
bool compile(ngx_conf_t *cf, ngx_str_t text, ngx_http_complex_value_t **out);
/// The same for the id of a job or a batch, which differs from request to request.
/// @param noun  "job" or "batch"
char *compile_id(ngx_conf_t *cf, ngx_str_t text, ngx_http_complex_value_t **out,
                 std::string_view noun = "job");

}  // namespace await::http
