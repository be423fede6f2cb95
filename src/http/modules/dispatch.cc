#include "http/modules/dispatch.h"

#include <algorithm>
#include <span>

#include "base/text.h"
#include "http/exchange/channels.h"
#include "http/exchange/conditions.h"
#include "http/exchange/origins.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/runtime/runtime.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/accept.h"

namespace await::http {
namespace {

constexpr Handler LocationConf::*kActions[] = {
    &LocationConf::submit,  &LocationConf::job,    &LocationConf::cancel,
    &LocationConf::result,  &LocationConf::events, &LocationConf::socket,
    &LocationConf::publish, &LocationConf::ticket, &LocationConf::metrics};

/// Of the actions that answer GET, the one that the client's Accept selects.
Handler reader(ngx_http_request_t *r, const LocationConf &location) {
  if (location.metrics != nullptr)
    return location.metrics;
  if (location.socket != nullptr && asks_for_websocket(r))
    return location.socket;
  Handler plain = location.job != nullptr ? location.job : location.result;
  if (plain == nullptr && location.events == nullptr)
    return location.socket;
  if (plain == nullptr || location.events == nullptr)
    return plain != nullptr ? plain : location.events;
  constexpr std::string_view kOffers[] = {"application/json", "text/plain", "text/event-stream"};
  return wire::choose(header(r, "accept"), kOffers) == 2 ? location.events : plain;
}

/// The action that answers POST.
Handler poster(const LocationConf &location) {
  for (auto action : {&LocationConf::submit, &LocationConf::publish, &LocationConf::ticket}) {
    if (location.*action != nullptr)
      return location.*action;
  }
  return nullptr;
}

Handler handler_for(ngx_http_request_t *r, const LocationConf &location) {
  if (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))
    return reader(r, location);
  if (r->method & NGX_HTTP_POST)
    return poster(location);
  return r->method & NGX_HTTP_DELETE ? location.cancel : nullptr;
}

/// Refuses a ticket for anything but a job's document, its result and events; these check themselves whether
/// the ticket names them.
Refusal check_ticket_use(ngx_http_request_t *r, const Lifecycle &lifecycle, const LocationConf &location,
                         Handler handler) {
  const RequestInfo *known = find_request_info(r);
  bool watches = handler == location.job || handler == location.result || handler == location.events ||
                 handler == location.socket;
  if (known == nullptr || !known->ticket_channels)
    return std::nullopt;
  // other access rules may have taken long since the ticket was checked
  if (lifecycle.is_revoked(known->user, known->issued_ms))
    return send_revoked(r);
  if (watches)
    return std::nullopt;
  return send_problem(r, 403, "A ticket only permits watching the channels that it names.");
}

/// Checks If-Match for resources without an entity tag. For a job and its result it is checked when they are
/// read.
Refusal check_if_match(ngx_http_request_t *r, const LocationConf &location, Handler handler) {
  bool has_validator = handler == location.job || handler == location.result || handler == location.cancel;
  // "*" matches whatever can be read
  const std::string unnamed[] = {"W/\"\""};
  auto etags = std::span(unnamed).first(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD) ? 1 : 0);
  if (has_validator || !has_conditions(r) || conditions_hold(r, etags, 0))
    return std::nullopt;
  return send_problem(r, 412, "This resource has no entity tag, so If-Match cannot be satisfied.");
}

Answer answer(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  Handler handler = handler_for(r, location);
  if (handler == nullptr) {
    add_header(r, "Allow", allowed_methods(location));
    if (r->method & NGX_HTTP_OPTIONS)
      return send_empty(r, 204);
    return send_problem(r, 405, "This resource supports " + allowed_methods(location) + ".");
  }
  Runtime *worker = runtime();
  if (worker == nullptr)
    return send_unavailable(r, "The server is starting; retry later.");
  bool acts = (r->method & NGX_HTTP_POST) || handler == location.cancel || handler == location.socket;
  if (acts && !is_welcome(r)) {
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "await: answering 403: cross-origin request rejected by await_origins");
    return send_logged_problem(r, 403, "Cross-origin request rejected.");
  }
  auto owner = handler != location.metrics && handler != location.publish ? owner_of(r) : std::nullopt;
  if (owner && (owner->empty() || !is_text(*owner)))
    return send_problem(r, 403, "The request is not authenticated.");
  if (auto refusal = check_ticket_use(r, worker->lifecycle(), location, handler))
    return *refusal;
  if (auto refusal = check_if_match(r, location, handler))
    return *refusal;
  return handler(r);
}

}  // namespace

ngx_int_t dispatch(ngx_http_request_t *r) {
  unsigned count = r->main->count;
  ngx_int_t rc = ngx::guarded(r->connection->log, ngx_int_t{NGX_DECLINED}, [&] { return answer(r).rc(); });
  if (rc != NGX_DECLINED)
    return rc;
  // no memory; the request may be held already
  ngx::Held::forsake(r);
  r->main->count = count;
  return NGX_HTTP_INTERNAL_SERVER_ERROR;
}

// nginx runs one handler in a location, the one that was set last, without an error: here a proxy_pass after
// an action
char *refuse_other_handler(ngx_conf_t *cf, const LocationConf &location) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  bool any = std::any_of(std::begin(kActions), std::end(kActions),
                         [&](auto action) { return location.*action != nullptr; });
  if (core->noname || !any || core->handler == nullptr || core->handler == dispatch)
    return NGX_CONF_OK;
  return config_error(cf, ngx::view(core->name),
                      "location has an await action and another handler such as \"proxy_pass\", only one "
                      "handler is allowed");
}

void merge_actions(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  if (!core->noname)
    return;
  bool any = false;
  for (auto action : kActions) {
    if (inner.*action == nullptr)
      inner.*action = outer.*action;
    any = any || inner.*action != nullptr;
  }
  for (auto format : {&LocationConf::submitted, &LocationConf::document}) {
    if (inner.*format == nullptr)
      inner.*format = outer.*format;
  }
  if (any && core->lmt_excpt && core->handler == nullptr)
    core->handler = dispatch;
}

std::string allowed_methods(const LocationConf &location) {
  std::string out;
  auto add = [&](const char *method) { out += (out.empty() ? "" : ", ") + std::string(method); };
  if (location.job != nullptr || location.result != nullptr || location.events != nullptr ||
      location.socket != nullptr || location.metrics != nullptr) {
    add("GET");
    add("HEAD");
  }
  if (poster(location) != nullptr)
    add("POST");
  if (location.cancel != nullptr)
    add("DELETE");
  add("OPTIONS");
  return out;
}

LocationConf *add_action(ngx_conf_t *cf, Handler LocationConf::*action, Handler handler) {
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->*action != nullptr) {
    config_error(cf, ngx::view(words[0]), "directive is duplicate");
    return nullptr;
  }
  struct Poster {
    Handler LocationConf::*action;
    const char *name;
  };
  constexpr Poster kPosters[] = {{&LocationConf::submit, "await_submit"},
                                 {&LocationConf::publish, "await_publish"},
                                 {&LocationConf::ticket, "await_ticket"}};
  bool posts = std::any_of(std::begin(kPosters), std::end(kPosters),
                           [&](const Poster &poster) { return poster.action == action; });
  for (const Poster &other : kPosters) {
    if (posts && location->*other.action != nullptr) {
      config_error(cf, ngx::view(words[0]),
                   (std::string("directive cannot be used with \"") + other.name +
                    "\" in the same location, both handle POST")
                       .c_str());
      return nullptr;
    }
  }
  if (core->handler != nullptr && core->handler != dispatch) {
    config_error(cf, ngx::view(words[0]),
                 "directive cannot be used in a location with another handler such as \"proxy_pass\"");
    return nullptr;
  }
  location->*action = handler;
  core->handler = dispatch;
  if (main->used_by.len == 0) {
    main->used_by = words[0];
    main->used_file = cf->conf_file->file.name;
    main->used_line = cf->conf_file->line;
  }
  return location;
}

}  // namespace await::http
