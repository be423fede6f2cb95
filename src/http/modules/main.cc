// ngx_http_await_module: the directives of the backends, those that several actions share, and the start of
// the runtime.

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/redact.h"
#include "base/text.h"
#include "base/version.h"
#include "http/conf/conf.h"
#include "http/conf/formats.h"
#include "http/conf/resolve.h"
#include "http/conf/safe_types.h"
#include "http/conf/settings.h"
#include "http/conf/variables.h"
#include "http/conf/webhook_options.h"
#include "http/exchange/channels.h"
#include "http/exchange/origins.h"
#include "http/exchange/request_info.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "http/runtime/zone_cache.h"
#include "ngx/str.h"
#include "wire/headers.h"

namespace await::http {
namespace {

char *set_postgres(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (main->postgres.data != nullptr)
    return const_cast<char *>("is duplicate");
  if (cf->args->nelts > 2)  // without the value, which may contain a password
    return directive_error(cf, place_of(cf),
                           "requires one parameter, a connection string with spaces must be in quotes, "
                           "such as \"host=db.example dbname=await\"");
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
    if (ngx::view(words[i]) == "off")
      return invalid_value(cf, "off", "it cannot be used with servers");
    for (ngx_uint_t j = 1; j < i; ++j) {
      if (ngx::view(words[i]) == ngx::view(words[j]))
        return invalid_value(cf, redact(ngx::view(words[i])), "the server is given twice");
    }
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
  if (location->ping != NGX_CONF_UNSET_MSEC || location->ping_socket != NGX_CONF_UNSET_MSEC)
    return const_cast<char *>("is duplicate");
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    bool socket = ngx::view(words[i]).starts_with("socket=");
    auto &field = socket ? location->ping_socket : location->ping;
    ngx_str_t text = socket ? ngx_str_t{words[i].len - 7, words[i].data + 7} : words[i];
    ngx_int_t ms = ngx_parse_time(&text, 0);
    if (ms == NGX_ERROR || ms < 1000 || ms > 120000)
      return invalid_value(cf, ngx::view(words[i]), "it must be between 1s and 2m");
    if (field != NGX_CONF_UNSET_MSEC)
      return invalid_value(cf, ngx::view(words[i]), "it must be one time, and one \"socket=time\"");
    field = static_cast<ngx_msec_t>(ms);
  }
  return NGX_CONF_OK;
}

char *set_retry(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->retry_min != NGX_CONF_UNSET_MSEC)
    return const_cast<char *>("is duplicate");
  constexpr ngx_int_t kLeast = 100;
  constexpr ngx_int_t kMost = ngx_int_t{3600} * 1000;
  ngx_int_t low = ngx_parse_time(&words[1], 0);
  if (low == NGX_ERROR || low < kLeast || low > kMost)
    return invalid_value(cf, ngx::view(words[1]), "it must be a time between 100ms and 1h");
  ngx_int_t high = cf->args->nelts > 2 ? ngx_parse_time(&words[2], 0) : ngx_min(5 * low, kMost);
  if (high == NGX_ERROR || high < low || high > kMost)
    return invalid_value(cf, ngx::view(words[cf->args->nelts - 1]),
                         "the maximum must be a time no less than the minimum, and no more than 1h");
  location->retry_min = static_cast<ngx_msec_t>(low);
  location->retry_max = static_cast<ngx_msec_t>(high);
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
  constexpr time_t kMost = time_t{90} * 24 * 3600;
  location->keep_keys = ngx_parse_time(&words[2], 1);
  if (location->keep_keys == NGX_ERROR || location->keep_keys < 1 || location->keep_keys > kMost)
    return invalid_value(cf, ngx::view(words[2]), "it must be equal to or greater than 1s, and at most 90d");
  if (word == "off")
    return invalid_value(cf, ngx::view(words[2]), "\"off\" takes no time");
  return NGX_CONF_OK;
}

ngx_conf_enum_t trusts[] = {
    {ngx_string("signed"), kSigned}, {ngx_string("verified"), kVerified}, {ngx_null_string, 0}};

/// As ngx_conf_set_enum_slot(), with an error that names the values.
char *set_hints(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  std::string_view word = ngx::view(static_cast<ngx_str_t *>(cf->args->elts)[1]);
  bool known = std::any_of(std::begin(trusts), std::end(trusts) - 1,
                           [&](const ngx_conf_enum_t &one) { return ngx::view(one.name) == word; });
  return known ? ngx_conf_set_enum_slot(cf, command, conf)
               : invalid_value(cf, word, "it must be \"signed\" or \"verified\"");
}

char *set_hold(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  (command->offset == offsetof(LocationConf, hold) ? location->hold_at : location->hold_max_at) =
      place_of(cf);
  return set_time(cf, command, conf);
}

char *set_problem_base(ngx_conf_t *cf, ngx_command_t *command, void *conf) {
  std::string_view word = ngx::view(static_cast<ngx_str_t *>(cf->args->elts)[1]);
  bool uri = std::all_of(word.begin(), word.end(), [](char c) {
    return c > ' ' && c < 127 && std::string_view("\"<>\\^`{|}$#").find(c) == std::string_view::npos;
  });
  if (!uri || (!word.starts_with('/') && word.find(':') == word.npos))
    return invalid_value(cf, word, "it must be a URI without variables, such as \"/problems/\"");
  return ngx_conf_set_str_slot(cf, command, conf);
}

constexpr std::int64_t kKilo = 1024;
constexpr std::int64_t kMega = 1024 * kKilo;
constexpr std::int64_t kGiga = 1024 * kMega;
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 3600 * kSecond;

Bounds reread{50, kHour, "it must be a time between 50ms and 1h"};
Bounds drain{kSecond, 24 * kHour, "it must be a time between 1s and 1d"};
Bounds hold{0, 24 * kHour, "it must be a time such as \"30s\", at most 1d"};
Bounds hold_max{kSecond, 24 * kHour, "it must be a time between 1s and 1d"};
Bounds value_max{0, 64 * kKilo,
                 "it must be a size of at most 64k, larger results are served by \"await_result\""};
Bounds max_buffered{4 * kKilo, kGiga, "it must be a size between 4k and 1g"};
Bounds max_uploads{64 * kKilo, 1024 * kGiga, "it must be a size equal to or greater than 64k"};
Bounds max_frame{128, kGiga, "it must be a size between 128 and 1g"};
Bounds count{1, INT32_MAX, "it must be a number equal to or greater than 1"};

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
    {ngx_string("await_postgres"),     HTTP | NGX_CONF_1MORE,   set_postgres,               MAIN, 0,                                nullptr},
    {ngx_string("await_redis"),        HTTP | NGX_CONF_1MORE,   set_redis,                  MAIN, 0,                                nullptr},
    {ngx_string("await_reread"),       HTTP | NGX_CONF_TAKE1,   set_time,                  MAIN, offsetof(MainConf, reread),   &reread},
    {ngx_string("await_drain"),        HTTP | NGX_CONF_TAKE1,   set_time,                  MAIN, offsetof(MainConf, drain),    &drain},
    {ngx_string("await_max_batch"),    HTTP | NGX_CONF_TAKE12,  set_max_batch,              MAIN, 0,                                nullptr},
    {ngx_string("await_format"),       HTTP | NGX_CONF_TAKE2,   set_format,                 MAIN, 0,                                nullptr},
    {ngx_string("await_event_types"),  HSL | NGX_CONF_1MORE,    set_event_types,            LOC,  0,                                nullptr},
    {ngx_string("await_owner"),        HSLI | NGX_CONF_TAKE1,   set_owner,                  LOC,  0,                                nullptr},
    {ngx_string("await_allow"),        HSL | NGX_CONF_1MORE,    set_allow,                  LOC,  0,                                nullptr},
    {ngx_string("await_webhook_hosts"), HSL | NGX_CONF_1MORE,   set_webhook_hosts,          LOC,  0,                                nullptr},
    {ngx_string("await_origins"),      HSLI | NGX_CONF_1MORE,   set_origins,                LOC,  0,                                nullptr},
    {ngx_string("await_job_uri"),      HSL | NGX_CONF_TAKE1,    set_uri, LOC, offsetof(LocationConf, job_uri),  nullptr},
    {ngx_string("await_result_uri"),   HSL | NGX_CONF_TAKE1,    set_uri, LOC, offsetof(LocationConf, result_uri), nullptr},
    {ngx_string("await_batch_uri"),    HSL | NGX_CONF_TAKE1,    set_uri, LOC, offsetof(LocationConf, batch_uri), nullptr},
    {ngx_string("await_hold"),         HSLI | NGX_CONF_TAKE1,   set_hold,                  LOC,  offsetof(LocationConf, hold),         &hold},
    {ngx_string("await_hold_max"),     HSL | NGX_CONF_TAKE1,    set_hold,                  LOC,  offsetof(LocationConf, hold_max),     &hold_max},
    {ngx_string("await_ping"),         HSL | NGX_CONF_TAKE12,   set_ping,                   LOC,  0,                                nullptr},
    {ngx_string("await_retry"),        HSL | NGX_CONF_TAKE12,   set_retry,                  LOC,  0,                                nullptr},
    {ngx_string("await_value_max"),    HSL | NGX_CONF_TAKE1,    set_size,                  LOC,  offsetof(LocationConf, value_max),    &value_max},
    {ngx_string("await_safe_types"),   HSL | NGX_CONF_1MORE,    set_safe_types,             LOC,  0,                                nullptr},
    {ngx_string("await_zone"),         HTTP | NGX_CONF_TAKE1,   set_zone,                   MAIN, 0,                                nullptr},
    {ngx_string("await_cache"),        HSL | NGX_CONF_TAKE12,   set_cache,                  LOC,  0,                                nullptr},
    {ngx_string("await_idempotency"),  HSLI | NGX_CONF_TAKE12,  set_idempotency,            LOC,  0,                                nullptr},
    {ngx_string("await_hints"),        HSL | NGX_CONF_TAKE1,    set_hints,                 LOC,  offsetof(LocationConf, hints),        trusts},
    {ngx_string("await_park"),         HSL | NGX_CONF_FLAG,     ngx_conf_set_flag_slot,     LOC,  offsetof(LocationConf, park),         nullptr},
    {ngx_string("await_max_held"),     HSL | NGX_CONF_TAKE1,    set_count,                 LOC,  offsetof(LocationConf, max_held),     &count},
    {ngx_string("await_max_inflight"), HSL | NGX_CONF_TAKE1,    set_count,                 LOC,  offsetof(LocationConf, max_inflight), &count},
    {ngx_string("await_max_buffered"), HSL | NGX_CONF_TAKE1,    set_size,                  LOC,  offsetof(LocationConf, max_buffered), &max_buffered},
    {ngx_string("await_max_uploads"),  HSL | NGX_CONF_TAKE1,    set_size,                  LOC,  offsetof(LocationConf, max_uploads),  &max_uploads},
    {ngx_string("await_max_frame"),    HSL | NGX_CONF_TAKE1,    set_size,                  LOC,  offsetof(LocationConf, max_frame),    &max_frame},
    {ngx_string("await_max_channels"), HSL | NGX_CONF_TAKE1,    set_count,                 LOC,  offsetof(LocationConf, max_channels), &count},
    {ngx_string("await_problem_base"), HSL | NGX_CONF_TAKE1,    set_problem_base,          LOC,  offsetof(LocationConf, problem_base), nullptr},
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

char *init_main(ngx_conf_t *, void *conf) {
  auto *main = static_cast<MainConf *>(conf);
  if (main->batch_rows == 0) {
    main->batch_rows = 512;
    main->batch_flights = 2;
  }
  ngx_conf_init_msec_value(main->reread, 4000);
  ngx_conf_init_msec_value(main->drain, 30000);
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
  location->cache_open = NGX_CONF_UNSET_MSEC;
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

std::string time_text(ngx_msec_t ms) {
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + "s" : std::to_string(ms) + "ms";
}

/// A request is never held for longer than await_hold_max. Only refused where it matters: a location may set
/// what its server does not.
char *merge_hold(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner) {
  const Place at = inner.hold_at.known() ? inner.hold_at : inner.hold_max_at;
  bool both = inner.hold_at.known() && inner.hold_max_at.known();
  bool by_default = !inner.hold_max_at.known() && !outer.hold_max_at.known();
  ngx_conf_merge_msec_value(inner.hold, outer.hold, 0);
  ngx_conf_merge_msec_value(inner.hold_max, outer.hold_max, 55000);
  if (!inner.hold_at.known())
    inner.hold_at = outer.hold_at;
  if (!inner.hold_max_at.known())
    inner.hold_max_at = outer.hold_max_at;
  if (inner.hold <= inner.hold_max || (!both && !has_action(inner)))
    return NGX_CONF_OK;
  return error_at(cf, at.known() ? at : inner.hold_at,
                  "\"await_hold\" of " + time_text(inner.hold) + " is longer than \"await_hold_max\" of " +
                      time_text(inner.hold_max) + (by_default ? ", the default" : "") +
                      ", no request would be held that long; set a longer \"await_hold_max\"");
}

/// What is about one owner requires that there are owners.
char *require_owner(ngx_conf_t *cf, const LocationConf &location) {
  if (location.scoped == 1)
    return NGX_CONF_OK;
  if (location.user_channel_at.known())
    return directive_error(cf, location.user_channel_at,
                           "has a channel of a user, which only that user can watch, so it requires "
                           "\"await_owner\", as by \"await_owner $remote_user;\"");
  if (location.owner_needed_at.known())
    return directive_error(cf, location.owner_needed_at,
                           "lists what an owner has, so it requires \"await_owner\", as by \"await_owner "
                           "$remote_user;\"; \"all\" lists everybody's");
  if (location.owner_quota_at.known())
    return directive_error(cf, location.owner_quota_at,
                           "has \"max_pending_per_owner=\", which requires \"await_owner\", as by "
                           "\"await_owner $remote_user;\"");
  return NGX_CONF_OK;
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
  if (char *refused = require_owner(cf, inner); refused != NGX_CONF_OK)
    return refused;
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
  if (char *refused = merge_webhook_hosts(cf, outer, inner); refused != NGX_CONF_OK)
    return refused;
  if (inner.event_types == nullptr)
    inner.event_types = outer.event_types;
  for (auto uri : {&LocationConf::job_uri, &LocationConf::result_uri, &LocationConf::batch_uri}) {
    if (inner.*uri == nullptr)
      inner.*uri = outer.*uri;
  }
  if (char *refused = merge_hold(cf, outer, inner); refused != NGX_CONF_OK)
    return refused;
  ngx_conf_merge_msec_value(inner.ping, outer.ping, 15000);
  ngx_conf_merge_msec_value(inner.ping_socket, outer.ping_socket, 25000);
  ngx_conf_merge_msec_value(inner.retry_min, outer.retry_min, 1000);
  ngx_conf_merge_msec_value(inner.retry_max, outer.retry_max, 5000);
  ngx_conf_merge_size_value(inner.value_max, outer.value_max, 16384);
  ngx_conf_merge_value(inner.park, outer.park, 1);
  ngx_conf_merge_ptr_value(inner.cache, outer.cache, nullptr);
  ngx_conf_merge_msec_value(inner.cache_open, outer.cache_open, 0);
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
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  main->value_max = ngx_max(main->value_max, inner.value_max);
  return NGX_CONF_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (refuse_unknown_variables(cf) != NGX_CONF_OK || refuse_unknown_zones(cf) != NGX_CONF_OK)
    return NGX_ERROR;
  if (!main->used_by.known())
    return NGX_OK;
  if (main->redis_required_at.known() && main->redis == nullptr) {
    directive_error(
        cf, main->redis_required_at,
        "has \"redis=required\", which requires \"await_redis\" with a server in the \"http\" block");
    return NGX_ERROR;
  }
  main->counters = Counters::reserve(cf);
  main->deliveries = DeliveryLog::reserve(cf);  // a console of another node asks for both
  main->node = NodeReport::reserve(cf);
  if (main->counters == nullptr || main->deliveries == nullptr || main->node == nullptr)
    return NGX_ERROR;
  if (main->wants_queues == 1) {
    main->queues = QueueCache::reserve(cf);
    if (main->queues == nullptr)
      return NGX_ERROR;
  }
  if (main->wants_console == 1) {
    main->console = ConsoleFeed::reserve(cf);
    if (main->console == nullptr)
      return NGX_ERROR;
  }
  if (main->postgres.data != nullptr)
    return NGX_OK;
  directive_error(cf, main->used_by, "requires \"await_postgres\" in the \"http\" block");
  return NGX_ERROR;
}

/// Logs the version, once for each loaded module: a reload keeps the module and this static variable, unless
/// the file was replaced.
ngx_int_t log_version(ngx_cycle_t *cycle) {
  static bool logged = false;
  auto *main = static_cast<MainConf *>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_await_module));
  if (ngx_test_config || logged || main == nullptr || !main->used_by.known())
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
