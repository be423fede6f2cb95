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
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_cors_module;

namespace await::http {
namespace {

constexpr char kMayBeSent[] =
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Unmodified-Since, "
    "Last-Event-ID, Prefer, Range, traceparent, X-Correlation-Id";
constexpr char kMayBeRead[] =
    "Location, Link, ETag, Retry-After, Preference-Applied, Content-Location, Content-Range, "
    "Content-Disposition, Idempotency-Replayed, Operation-Location, RateLimit, RateLimit-Policy, "
    "WWW-Authenticate, X-Request-Id";

struct CorsMain {
  ngx_flag_t used;
};
struct CorsConf {
  ngx_flag_t on;
  ngx_str_t sent;  ///< Access-Control-Allow-Headers
  ngx_str_t read;  ///< Access-Control-Expose-Headers
  ngx_flag_t any;  ///< one of them is "*" too
  Place at;
};

ngx_http_output_header_filter_pt next_filter;

const CorsConf &cors_conf(ngx_http_request_t *r) {
  return *static_cast<CorsConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_cors_module));
}

std::string origin_of(ngx_http_request_t *r) { return has_header(r, "origin") ? readable_by(r) : ""; }

/// Answers preflights. For other requests it stores which origin may read, because error_page leads to
/// another location. A console is read by its own page only: a preflight there is answered like any OPTIONS.
ngx_int_t check_origin(ngx_http_request_t *r) {
  const RequestInfo *before = find_request_info(r);
  bool console = location_conf(r).console != nullptr || (before != nullptr && before->of_console);
  if (cors_conf(r).on != 1 && !console)
    return NGX_DECLINED;
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR}, [&]() -> ngx_int_t {
    std::string origin = console ? "" : origin_of(r);
    request_info(r).of_console = console;
    request_info(r).readable_by = origin;
    request_info(r).may_be_read = ngx::view(cors_conf(r).read);
    bool preflight = !console && (r->method & NGX_HTTP_OPTIONS) && has_header(r, "origin") &&
                     has_header(r, "access-control-request-method");
    if (!preflight)
      return NGX_DECLINED;
    if (!origin.empty()) {
      add_header(r, "Access-Control-Allow-Methods", allowed_methods(location_conf(r)));
      add_header(r, "Access-Control-Allow-Headers", ngx::view(cors_conf(r).sent));
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
  if (!noted && cors_conf(r).on != 1)
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
      add_header(r, "Access-Control-Expose-Headers",
                 noted ? known->may_be_read : ngx::view(cors_conf(r).read));
    return true;
  });
  return added ? next_filter(r) : NGX_ERROR;
}

/// Adds the header names of `headers=` or `expose=` to those of the module. Null, or what is wrong.
const char *add_names(ngx_conf_t *cf, std::string_view names, CorsConf &conf, ngx_str_t &list) {
  std::string all(ngx::view(list));
  if (names.empty())
    return "it must list names of headers, separated by commas";
  while (!names.empty()) {
    std::string_view name = cut(names, ',');
    if (!is_token(name))
      return "it must list names of headers, separated by commas";
    conf.any = conf.any == 1 || name == "*";
    if (!lists(all, name))
      all.append(", ").append(name);
  }
  list = ngx::copy(cf->pool, all);
  return nullptr;
}

char *set_cors(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto &conf = *static_cast<CorsConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (conf.on != NGX_CONF_UNSET)
    return const_cast<char *>("is duplicate");
  std::string_view first = ngx::view(words[1]);
  if (first != "on" && first != "off")
    return invalid_value(cf, first, "it must be \"on\" or \"off\"");
  conf.on = first == "on" ? 1 : 0;
  conf.any = 0;
  conf.at = place_of(cf);
  conf.sent = ngx::borrow(kMayBeSent);
  conf.read = ngx::borrow(kMayBeRead);
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view names = ngx::view(words[i]);
    std::string_view option = cut(names, '=');
    const char *why = conf.on == 0          ? "it cannot be used with \"off\""
                      : option == "headers" ? add_names(cf, names, conf, conf.sent)
                      : option == "expose"  ? add_names(cf, names, conf, conf.read)
                                            : "it must be headers= or expose=";
    if (why != nullptr)
      return invalid_parameter(cf, ngx::view(words[i]), why);
  }
  if (conf.on == 1)
    static_cast<CorsMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_cors_module))->used = 1;
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_cors"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE123, set_cors, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
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

/// Runs after the merge of ngx_http_await_module, which has await_origins.
char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  auto &conf = *static_cast<CorsConf *>(child);
  if (conf.on == NGX_CONF_UNSET)
    conf = *static_cast<CorsConf *>(parent);
  ngx_conf_merge_value(conf.on, NGX_CONF_UNSET, 0);
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  // to a request with credentials, "*" is the name of a header (Fetch §3.3.2, §4.9)
  if (conf.on != 1 || conf.any != 1 || location->any_origin == 1)
    return NGX_CONF_OK;
  return directive_error(
      cf, conf.at,
      "can only have \"headers=*\" or \"expose=*\" with \"await_origins any\", browsers do not "
      "take \"*\" for all headers if credentials are allowed");
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
