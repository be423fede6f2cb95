// ngx_http_await_cors_module: lets pages of other origins (await_origins) read responses (Fetch §3.2).
// Preflights are answered before any access rule, for browsers send no credentials with them; all other
// answers, nginx's own among them, get their headers in a filter.

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/exchange/access.h"
#include "http/exchange/origins.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/modules/dispatch.h"
#include "ngx/guard.h"

extern ngx_module_t ngx_http_await_cors_module;

namespace await::http {
namespace {

constexpr char kMayBeSent[] =
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Unmodified-Since, "
    "Last-Event-ID, Prefer, Range, traceparent, X-Correlation-Id";
constexpr char kMayBeRead[] =
    "Location, Link, ETag, Retry-After, Preference-Applied, Content-Location, Content-Range, "
    "Idempotency-Replayed, WWW-Authenticate";

struct CorsMain {
  ngx_flag_t used;
};
struct CorsConf {
  ngx_flag_t on;
};

ngx_http_output_header_filter_pt next_filter;

bool is_on(ngx_http_request_t *r) {
  return static_cast<CorsConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_cors_module))->on == 1;
}

std::string origin_of(ngx_http_request_t *r) { return has_header(r, "origin") ? readable_by(r) : ""; }

/// Answers preflights. For other requests it stores which origin may read, because error_page leads to
/// another location.
ngx_int_t check_origin(ngx_http_request_t *r) {
  if (!is_on(r))
    return NGX_DECLINED;
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    std::string origin = origin_of(r);
    request_info(r).readable_by = origin;
    bool preflight = (r->method & NGX_HTTP_OPTIONS) && has_header(r, "origin") &&
                     has_header(r, "access-control-request-method");
    if (!preflight)
      return NGX_DECLINED;
    if (!origin.empty()) {
      add_header(r, "Access-Control-Allow-Methods", allowed_methods(location_conf(r)));
      add_header(r, "Access-Control-Allow-Headers", kMayBeSent);
      add_header(r, "Access-Control-Max-Age", "600");
    }
    ngx::finalize(r, send_empty(r, 204));
    return NGX_DONE;
  });
}

ngx_int_t add_headers(ngx_http_request_t *r) {
  if (r != r->main)
    return next_filter(r);
  RequestInfo *known = find_request_info(r);
  bool noted = known != nullptr && known->readable_by;
  if (!noted && !is_on(r))
    return next_filter(r);
  bool added = ngx::guarded(r->connection->log, false, [&] {
    add_header(r, "Vary", "Origin");
    std::string origin = noted ? *known->readable_by : origin_of(r);
    if (origin.empty())
      return true;
    add_header(r, "Access-Control-Allow-Origin", origin);
    if (origin != "*")
      add_header(r, "Access-Control-Allow-Credentials", "true");
    if (!(r->method & NGX_HTTP_OPTIONS))
      add_header(r, "Access-Control-Expose-Headers", kMayBeRead);
    return true;
  });
  return added ? next_filter(r) : NGX_ERROR;
}

char *set_cors(ngx_conf_t *cf, ngx_command_t *command, void *data) {
  char *rc = ngx_conf_set_flag_slot(cf, command, data);
  if (rc == NGX_CONF_OK && static_cast<CorsConf *>(data)->on == 1)
    static_cast<CorsMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_cors_module))->used = 1;
  return rc;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_cors"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG, set_cors, NGX_HTTP_LOC_CONF_OFFSET, offsetof(CorsConf, on), nullptr},
    ngx_null_command,
};
// clang-format on

void *create_main(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(CorsMain)); }

void *create_location(ngx_conf_t *cf) {
  auto *conf = static_cast<CorsConf *>(ngx_pcalloc(cf->pool, sizeof(CorsConf)));
  if (conf != nullptr)
    conf->on = NGX_CONF_UNSET;
  return conf;
}

char *merge_location(ngx_conf_t *, void *parent, void *child) {
  ngx_conf_merge_value(static_cast<CorsConf *>(child)->on, static_cast<CorsConf *>(parent)->on, 0);
  return NGX_CONF_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  if (static_cast<CorsMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_cors_module))->used == 0)
    return NGX_OK;
  next_filter = ngx_http_top_header_filter;
  ngx_http_top_header_filter = add_headers;
  return add_phase_handler(cf, NGX_HTTP_PREACCESS_PHASE, check_origin);
}

ngx_http_module_t context = {nullptr, postconfigure, create_main,     nullptr,
                             nullptr, nullptr,       create_location, merge_location};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_cors_module =
    await::http::plain_module(&await::http::context, await::http::commands);
