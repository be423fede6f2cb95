// ngx_http_await_module: the directives of the backends, those that several actions share, and the start of
// the runtime.

#include "base/redact.h"
#include "base/text.h"
#include "base/version.h"
#include "http/conf/conf.h"
#include "http/conf/formats.h"
#include "http/conf/resolve.h"
#include "http/exchange/channels.h"
#include "http/exchange/origins.h"
#include "http/exchange/request_info.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "http/runtime/zone_cache.h"
#include "ngx/str.h"

namespace await::http {
namespace {

char *set_postgres(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (main->postgres.data != nullptr)
    return const_cast<char *>("is duplicate");
  const char *why = resolve_postgres(cf, words[1], &main->postgres);
  return why == nullptr ? NGX_CONF_OK : invalid_value(cf, redact(ngx::view(words[1])), why);
}

char *set_redis(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (main->redis != nullptr || main->redis_off == 1)
    return const_cast<char *>("is duplicate");
  if (cf->args->nelts == 2 && ngx::view(words[1]) == "off") {
    main->redis_off = 1;
    return NGX_CONF_OK;
  }
  main->redis = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  if (main->redis == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    auto *url = static_cast<ngx_str_t *>(ngx_array_push(main->redis));
    if (const char *why = resolve_redis(cf, words[i], url))
      return invalid_value(cf, redact(ngx::view(words[i])), why);
  }
  return NGX_CONF_OK;
}

char *set_owner(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->scoped != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  if (ngx::view(words[1]) == "off") {
    location->scoped = 0;
    return NGX_CONF_OK;
  }
  location->scoped = 1;
  if (!compile(cf, words[1], &location->owner))
    return static_cast<char *>(NGX_CONF_ERROR);
  if (location->owner->lengths == nullptr)
    return invalid_value(cf, ngx::view(words[1]),
                         "it must contain a variable, or be \"off\" to have no owners");
  return NGX_CONF_OK;
}

char *set_request_id(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->sends_request_id != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  location->sends_request_id = ngx::view(words[1]) != "off" ? 1 : 0;
  if (location->sends_request_id == 0)
    return NGX_CONF_OK;
  if (!compile(cf, words[1], &location->request_id))
    return static_cast<char *>(NGX_CONF_ERROR);
  if (location->request_id->lengths == nullptr)
    return invalid_value(cf, ngx::view(words[1]),
                         "it must contain a variable, or be \"off\" to send no X-Request-Id");
  return NGX_CONF_OK;
}

char *set_ping(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    bool socket = ngx::view(words[i]).starts_with("socket=");
    ngx_str_t text = socket ? ngx_str_t{words[i].len - 7, words[i].data + 7} : words[i];
    ngx_int_t ms = ngx_parse_time(&text, 0);
    if (ms == NGX_ERROR || ms < 1000 || ms > 120000)
      return invalid_value(cf, ngx::view(words[i]), "it must be between 1s and 2m");
    (socket ? location->ping_socket : location->ping) = static_cast<ngx_msec_t>(ms);
  }
  return NGX_CONF_OK;
}

char *set_retry(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  ngx_int_t low = ngx_parse_time(&words[1], 0);
  if (low == NGX_ERROR)
    return invalid_value(cf, ngx::view(words[1]), "it must be a time");
  ngx_int_t high = cf->args->nelts > 2 ? ngx_parse_time(&words[2], 0) : 5 * low;
  if (high == NGX_ERROR || high < low)
    return invalid_value(cf, ngx::view(words[cf->args->nelts - 1]),
                         "the maximum must be a time no less than the minimum");
  location->retry_min = static_cast<ngx_msec_t>(low);
  location->retry_max = static_cast<ngx_msec_t>(high);
  return NGX_CONF_OK;
}

char *set_safe_types(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->safe_types != nullptr)
    return const_cast<char *>("is duplicate");
  location->safe_types = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    if (ngx::view(words[i]).find('/') == std::string_view::npos)
      return invalid_value(cf, ngx::view(words[i]), "it must be a media type such as \"image/png\"");
    auto *type = static_cast<ngx_str_t *>(ngx_array_push(location->safe_types));
    *type = ngx::copy(cf->pool, lower(ngx::view(words[i])));
  }
  return NGX_CONF_OK;
}

/// For numbers that must be 1 or greater.
char *set_count(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  auto *field = reinterpret_cast<ngx_int_t *>(static_cast<char *>(conf) + command->offset);
  if (*field != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  *field = ngx_atoi(words[1].data, words[1].len);
  if (*field == NGX_ERROR || *field < 1)
    return invalid_value(cf, ngx::view(words[1]), "it must be a number equal to or greater than 1");
  return NGX_CONF_OK;
}

char *set_idempotency(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->idempotency != NGX_CONF_UNSET_UINT)
    return const_cast<char *>("is duplicate");
  std::string_view word = ngx::view(words[1]);
  if (word != "on" && word != "off" && word != "required")
    return invalid_value(cf, word, "it must be \"on\", \"off\" or \"required\"");
  location->idempotency = word == "off" ? kKeysOff : word == "on" ? kKeysOn : kKeysRequired;
  if (cf->args->nelts == 2)
    return NGX_CONF_OK;
  location->keep_keys = ngx_parse_time(&words[2], 1);
  if (location->keep_keys == NGX_ERROR || location->keep_keys < 1)
    return invalid_value(cf, ngx::view(words[2]), "it must be equal to or greater than 1s");
  return NGX_CONF_OK;
}

ngx_conf_enum_t trusts[] = {
    {ngx_string("signed"), kSigned}, {ngx_string("verified"), kVerified}, {ngx_null_string, 0}};

char *set_max_batch(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (main->batch_rows != 0)
    return const_cast<char *>("is duplicate");
  main->batch_rows = ngx_atoi(words[1].data, words[1].len);
  main->batch_flights = cf->args->nelts > 2 ? ngx_atoi(words[2].data, words[2].len) : 2;
  if (main->batch_rows < 1 || main->batch_rows > 4096)
    return invalid_value(cf, ngx::view(words[1]), "it must be a number between 1 and 4096");
  if (main->batch_flights < 1 || main->batch_flights > 256)
    return invalid_value(cf, ngx::view(words[2]), "it must be a number between 1 and 256");
  return NGX_CONF_OK;
}

#define HTTP NGX_HTTP_MAIN_CONF
#define HSL (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define HSLI (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF)
#define MAIN NGX_HTTP_MAIN_CONF_OFFSET
#define LOC NGX_HTTP_LOC_CONF_OFFSET

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_postgres"),     HTTP | NGX_CONF_TAKE1,   set_postgres,               MAIN, 0,                                nullptr},
    {ngx_string("await_redis"),        HTTP | NGX_CONF_1MORE,   set_redis,                  MAIN, 0,                                nullptr},
    {ngx_string("await_reread"),       HTTP | NGX_CONF_TAKE1,   ngx_conf_set_msec_slot,     MAIN, offsetof(MainConf, reread),   nullptr},
    {ngx_string("await_drain"),        HTTP | NGX_CONF_TAKE1,   ngx_conf_set_msec_slot,     MAIN, offsetof(MainConf, drain),    nullptr},
    {ngx_string("await_max_batch"),    HTTP | NGX_CONF_TAKE12,  set_max_batch,              MAIN, 0,                                nullptr},
    {ngx_string("await_format"),       HTTP | NGX_CONF_TAKE2,   set_format,                 MAIN, 0,                                nullptr},
    {ngx_string("await_event_types"),  HSL | NGX_CONF_1MORE,    set_event_types,            LOC,  0,                                nullptr},
    {ngx_string("await_owner"),        HSLI | NGX_CONF_TAKE1,   set_owner,                  LOC,  0,                                nullptr},
    {ngx_string("await_allow"),        HSL | NGX_CONF_1MORE,    set_allow,                  LOC,  0,                                nullptr},
    {ngx_string("await_origins"),      HSLI | NGX_CONF_1MORE,   set_origins,                LOC,  0,                                nullptr},
    {ngx_string("await_job_uri"),      HSL | NGX_CONF_TAKE1,    ngx_http_set_complex_value_slot, LOC, offsetof(LocationConf, job_uri),  nullptr},
    {ngx_string("await_result_uri"),   HSL | NGX_CONF_TAKE1,    ngx_http_set_complex_value_slot, LOC, offsetof(LocationConf, result_uri), nullptr},
    {ngx_string("await_hold"),         HSLI | NGX_CONF_TAKE1,   ngx_conf_set_msec_slot,     LOC,  offsetof(LocationConf, hold),         nullptr},
    {ngx_string("await_hold_max"),     HSL | NGX_CONF_TAKE1,    ngx_conf_set_msec_slot,     LOC,  offsetof(LocationConf, hold_max),     nullptr},
    {ngx_string("await_ping"),         HSL | NGX_CONF_TAKE12,   set_ping,                   LOC,  0,                                nullptr},
    {ngx_string("await_retry"),        HSL | NGX_CONF_TAKE12,   set_retry,                  LOC,  0,                                nullptr},
    {ngx_string("await_value_max"),    HSL | NGX_CONF_TAKE1,    ngx_conf_set_size_slot,     LOC,  offsetof(LocationConf, value_max),    nullptr},
    {ngx_string("await_safe_types"),   HSL | NGX_CONF_1MORE,    set_safe_types,             LOC,  0,                                nullptr},
    {ngx_string("await_zone"),         HTTP | NGX_CONF_TAKE1,   set_zone,                   MAIN, 0,                                nullptr},
    {ngx_string("await_cache"),        HSL | NGX_CONF_TAKE1,    set_cache,                  LOC,  0,                                nullptr},
    {ngx_string("await_idempotency"),  HSLI | NGX_CONF_TAKE12,  set_idempotency,            LOC,  0,                                nullptr},
    {ngx_string("await_hints"),        HSL | NGX_CONF_TAKE1,    ngx_conf_set_enum_slot,     LOC,  offsetof(LocationConf, hints),        trusts},
    {ngx_string("await_park"),         HSL | NGX_CONF_FLAG,     ngx_conf_set_flag_slot,     LOC,  offsetof(LocationConf, park),         nullptr},
    {ngx_string("await_max_held"),     HSL | NGX_CONF_TAKE1,    set_count,                  LOC,  offsetof(LocationConf, max_held),     nullptr},
    {ngx_string("await_max_inflight"), HSL | NGX_CONF_TAKE1,    set_count,                  LOC,  offsetof(LocationConf, max_inflight), nullptr},
    {ngx_string("await_max_buffered"), HSL | NGX_CONF_TAKE1,    ngx_conf_set_size_slot,     LOC,  offsetof(LocationConf, max_buffered), nullptr},
    {ngx_string("await_max_uploads"),  HSL | NGX_CONF_TAKE1,    ngx_conf_set_size_slot,     LOC,  offsetof(LocationConf, max_uploads),  nullptr},
    {ngx_string("await_max_frame"),    HSL | NGX_CONF_TAKE1,    ngx_conf_set_size_slot,     LOC,  offsetof(LocationConf, max_frame),    nullptr},
    {ngx_string("await_max_channels"), HSL | NGX_CONF_TAKE1,    set_count,                  LOC,  offsetof(LocationConf, max_channels), nullptr},
    {ngx_string("await_problem_base"), HSL | NGX_CONF_TAKE1,    ngx_conf_set_str_slot,      LOC,  offsetof(LocationConf, problem_base), nullptr},
    {ngx_string("await_request_id"),   HSL | NGX_CONF_TAKE1,    set_request_id,             LOC,  0,                                nullptr},
    ngx_null_command,
};
// clang-format on

#undef HTTP
#undef HSL
#undef HSLI
#undef MAIN
#undef LOC

void *create_main(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_pcalloc(cf->pool, sizeof(MainConf)));
  if (main != nullptr)
    main->reread = main->drain = NGX_CONF_UNSET_MSEC;
  return main;
}

char *init_main(ngx_conf_t *cf, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  if (main->batch_rows == 0) {
    main->batch_rows = 512;
    main->batch_flights = 2;
  }
  ngx_conf_init_msec_value(main->reread, 4000);
  if (main->reread < 50) {
    return config_error(cf, "await_reread", "must be equal to or greater than 50ms");
  }
  ngx_conf_init_msec_value(main->drain, 30000);
  if (main->drain < 1000) {
    return config_error(cf, "await_drain", "must be equal to or greater than 1s");
  }
  return NGX_CONF_OK;
}

void *create_location(ngx_conf_t *cf) {
  auto *location = static_cast<LocationConf *>(ngx_pcalloc(cf->pool, sizeof(LocationConf)));
  if (location == nullptr)
    return nullptr;
  location->scoped = NGX_CONF_UNSET;
  location->any_origin = NGX_CONF_UNSET;
  location->park = NGX_CONF_UNSET;
  location->sends_request_id = NGX_CONF_UNSET;
  location->cache = static_cast<ngx_shm_zone_t *>(NGX_CONF_UNSET_PTR);
  location->hints = NGX_CONF_UNSET_UINT;
  location->idempotency = NGX_CONF_UNSET_UINT;
  location->keep_keys = NGX_CONF_UNSET;
  for (auto field : {&LocationConf::hold, &LocationConf::hold_max, &LocationConf::ping,
                     &LocationConf::ping_socket, &LocationConf::retry_min, &LocationConf::retry_max})
    location->*field = NGX_CONF_UNSET_MSEC;
  location->value_max = NGX_CONF_UNSET_SIZE;
  location->max_held = NGX_CONF_UNSET;
  location->max_inflight = NGX_CONF_UNSET;
  location->max_buffered = NGX_CONF_UNSET_SIZE;
  location->max_uploads = NGX_CONF_UNSET_SIZE;
  location->max_frame = NGX_CONF_UNSET_SIZE;
  location->max_channels = NGX_CONF_UNSET;
  return location;
}

ngx_array_t *default_safe_types(ngx_conf_t *cf) {
  constexpr std::string_view kTypes[] = {"application/json", "text/plain", "image/png",
                                         "image/jpeg",       "image/webp", "image/gif"};
  ngx_array_t *types = ngx_array_create(cf->pool, std::size(kTypes), sizeof(ngx_str_t));
  for (std::string_view type : kTypes)
    *static_cast<ngx_str_t *>(ngx_array_push(types)) = ngx::borrow(type);
  return types;
}

char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  auto &outer = *static_cast<LocationConf *>(parent);
  auto &inner = *static_cast<LocationConf *>(child);
  if (char *refused = refuse_other_handler(cf, inner); refused != NGX_CONF_OK)
    return refused;
  merge_actions(cf, outer, inner);
  if (inner.scoped == NGX_CONF_UNSET) {
    inner.scoped = outer.scoped;
    inner.owner = outer.owner;
  }
  ngx_conf_merge_value(inner.scoped, NGX_CONF_UNSET, 0);
  if (inner.any_origin == NGX_CONF_UNSET) {
    inner.any_origin = outer.any_origin;
    inner.origins = outer.origins;
  }
  if (inner.sends_request_id == NGX_CONF_UNSET) {
    inner.sends_request_id = outer.sends_request_id;
    inner.request_id = outer.request_id;
  }
  ngx_conf_merge_value(inner.sends_request_id, NGX_CONF_UNSET, 1);
  if (inner.allow == nullptr)
    inner.allow = outer.allow;
  if (inner.event_types == nullptr)
    inner.event_types = outer.event_types;
  if (inner.job_uri == nullptr)
    inner.job_uri = outer.job_uri;
  if (inner.result_uri == nullptr)
    inner.result_uri = outer.result_uri;
  ngx_conf_merge_msec_value(inner.hold, outer.hold, 0);
  ngx_conf_merge_msec_value(inner.hold_max, outer.hold_max, 55000);
  ngx_conf_merge_msec_value(inner.ping, outer.ping, 15000);
  ngx_conf_merge_msec_value(inner.ping_socket, outer.ping_socket, 25000);
  ngx_conf_merge_msec_value(inner.retry_min, outer.retry_min, 1000);
  ngx_conf_merge_msec_value(inner.retry_max, outer.retry_max, 5000);
  ngx_conf_merge_size_value(inner.value_max, outer.value_max, 16384);
  ngx_conf_merge_value(inner.park, outer.park, 1);
  ngx_conf_merge_ptr_value(inner.cache, outer.cache, nullptr);
  ngx_conf_merge_uint_value(inner.idempotency, outer.idempotency, kKeysOn);
  ngx_conf_merge_value(inner.keep_keys, outer.keep_keys, 24 * 60 * 60);
  ngx_conf_merge_uint_value(inner.hints, outer.hints, kSigned);
  ngx_conf_merge_value(inner.max_held, outer.max_held, 100000);
  ngx_conf_merge_value(inner.max_inflight, outer.max_inflight, 10000);
  ngx_conf_merge_size_value(inner.max_buffered, outer.max_buffered, 131072);
  ngx_conf_merge_size_value(inner.max_uploads, outer.max_uploads, 268435456);
  ngx_conf_merge_size_value(inner.max_frame, outer.max_frame, 65536);
  ngx_conf_merge_value(inner.max_channels, outer.max_channels, 100);
  ngx_conf_merge_str_value(inner.problem_base, outer.problem_base, "/problems/");
  if (inner.safe_types == nullptr)
    inner.safe_types =
        outer.safe_types != nullptr ? outer.safe_types : outer.safe_types = default_safe_types(cf);
  if (inner.value_max > 65536)
    return config_error(cf, "await_value_max",
                        "must be equal to or less than 64k, larger results are served by \"await_result\"");
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  main->value_max = ngx_max(main->value_max, inner.value_max);
  return NGX_CONF_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (main->used_by.len == 0)
    return NGX_OK;
  main->counters = Counters::reserve(cf);
  if (main->postgres.data != nullptr)
    return main->counters != nullptr ? NGX_OK : NGX_ERROR;
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                "\"%V\" directive requires \"await_postgres\" in the \"http\" block in %V:%ui",
                &main->used_by, &main->used_file, main->used_line);
  return NGX_ERROR;
}

/// Logs the version, once for each loaded module: a reload keeps the module and this static variable, unless
/// the file was replaced.
ngx_int_t log_version(ngx_cycle_t *cycle) {
  static bool logged = false;
  auto *main = static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_await_module));
  if (ngx_test_config || logged || main == nullptr || main->used_by.len == 0)
    return NGX_OK;
  logged = true;
  ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "nginx-await/%s", kVersion);
  return NGX_OK;
}

ngx_http_module_t context = {add_variables, postconfigure, create_main,     init_main,
                             nullptr,       nullptr,       create_location, merge_location};

}  // namespace

}  // namespace await::http

ngx_module_t ngx_http_await_module = {
    NGX_MODULE_V1,
    &await::http::context,      /* module context */
    await::http::commands,      /* module directives */
    NGX_HTTP_MODULE,            /* module type */
    nullptr,                    /* init master */
    await::http::log_version,   /* init module */
    await::http::start_runtime, /* init process */
    nullptr,                    /* init thread */
    nullptr,                    /* exit thread */
    await::http::end_runtime,   /* exit process */
    nullptr,                    /* exit master */
    NGX_MODULE_V1_PADDING,
};
