#include "http/modules/dispatch.h"

#include <algorithm>
#include <span>

#include "base/text.h"
#include "http/conf/proxy_options.h"
#include "http/conf/settings.h"
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

/// The requests that an action answers. Two actions of a location may not answer the same ones.
enum Requests : unsigned { kDocument = 1, kStream = 2, kSocket = 4, kGet = 7, kPost = 8, kDelete = 16 };

struct Action {
  Handler LocationConf::*handler;
  unsigned requests;
  const char *name;
  ngx_uint_t options;  ///< the first word of the directive that is one
};

constexpr Action kActions[] = {{&LocationConf::submit, kPost, "await_submit", 2},
                               {&LocationConf::publish, kPost, "await_publish", 2},
                               {&LocationConf::ticket, kPost, "await_ticket", 1},
                               {&LocationConf::retry_job, kPost, "await_retry_job", 2},
                               {&LocationConf::job, kDocument, "await_job", 2},
                               {&LocationConf::cancel, kDelete, "await_job", 2},
                               {&LocationConf::batch_submit, kPost, "await_batch", 1},
                               {&LocationConf::batch, kDocument, "await_batch", 1},
                               {&LocationConf::batch_cancel, kDelete, "await_batch", 1},
                               {&LocationConf::result, kDocument, "await_result", 2},
                               {&LocationConf::jobs, kDocument, "await_jobs", 1},
                               {&LocationConf::batches, kDocument, "await_batches", 1},
                               {&LocationConf::webhooks, kDocument, "await_webhooks", 1},
                               {&LocationConf::retry_delivery, kPost, "await_webhooks", 1},
                               {&LocationConf::events, kStream, "await_events", 1},
                               {&LocationConf::socket, kSocket, "await_socket", 1},
                               {&LocationConf::console, kGet, "await_console", 1},
                               {&LocationConf::console_act, kPost, "await_console", 1},
                               {&LocationConf::metrics, kGet, "await_metrics", 1},
                               {&LocationConf::health, kGet, "await_health", 1},
                               {&LocationConf::resources, kGet | kPost | kDelete, "await", 2}};

/// What the actions of a location have in LocationConf beside their handlers.
constexpr const wire::Format *LocationConf::*kFormats[] = {&LocationConf::submitted, &LocationConf::document,
                                                           &LocationConf::batch_document};

constexpr char kOtherHandler[] =
    "cannot be used in a location with another handler such as \"proxy_pass\", only one of them would run";

const Action &action_of(Handler LocationConf::*handler) {
  return *std::find_if(std::begin(kActions), std::end(kActions),
                       [&](const Action &action) { return action.handler == handler; });
}

/// An action of the location that answers requests of these, too; null if there is none.
const Action *find_rival(const LocationConf &location, unsigned requests) {
  auto *found = std::find_if(std::begin(kActions), std::end(kActions), [&](const Action &action) {
    return (action.requests & requests) != 0 && location.*action.handler != nullptr;
  });
  return found != std::end(kActions) ? found : nullptr;
}

/// Of the actions that answer GET, the one that the client's Accept selects.
Handler reader(ngx_http_request_t *r, const LocationConf &location) {
  for (Handler only : {location.metrics, location.health, location.console}) {
    if (only != nullptr)
      return only;
  }
  if (location.socket != nullptr && asks_for_websocket(r))
    return location.socket;
  const Action *document = find_rival(location, kDocument);
  Handler plain = document != nullptr ? location.*document->handler : nullptr;
  if (plain == nullptr && location.events == nullptr)
    return location.socket;
  if (plain == nullptr || location.events == nullptr)
    return plain != nullptr ? plain : location.events;
  constexpr std::string_view kOffers[] = {"application/json", "text/plain", "text/event-stream"};
  return wire::choose(header(r, "accept"), kOffers) == 2 ? location.events : plain;
}

/// The action that answers POST.
Handler poster(const LocationConf &location) {
  const Action *action = find_rival(location, kPost);
  return action != nullptr ? location.*action->handler : nullptr;
}

/// The action that answers DELETE.
Handler deleter(const LocationConf &location) {
  return location.cancel != nullptr ? location.cancel : location.batch_cancel;
}

Handler handler_for(ngx_http_request_t *r, const LocationConf &location) {
  if (location.resources != nullptr)
    return location.resources;
  if (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))
    return reader(r, location);
  if (location.proxy != nullptr && (r->method & location.proxy->methods) != 0)
    return location.submit;
  if (r->method & NGX_HTTP_POST)
    return location.proxy == nullptr || location.submit == nullptr ? poster(location) : nullptr;
  return r->method & NGX_HTTP_DELETE ? deleter(location) : nullptr;
}

/// Refuses a ticket for anything but documents of jobs and batches, results and events; these check
/// themselves whether the ticket names them.
Refusal check_ticket_use(ngx_http_request_t *r, const Lifecycle &lifecycle, const LocationConf &location,
                         Handler handler) {
  const RequestInfo *known = find_request_info(r);
  bool watches = handler == location.job || handler == location.batch || handler == location.result ||
                 handler == location.events || handler == location.socket;
  if (known == nullptr || !known->ticket_channels)
    return std::nullopt;
  // other access rules may have taken long since the ticket was checked
  if (lifecycle.is_revoked(known->user, known->issued_ms))
    return send_revoked(r);
  if (watches)
    return std::nullopt;
  return send_problem(r, 403, "A ticket only permits watching the channels that it names.");
}

/// Whether the back end of await_proxy checks If-Match.
bool is_for_backend(const LocationConf &location, Handler handler) {
  return location.proxy != nullptr && handler == location.submit && records(*location.proxy, "if-match");
}

/// Checks If-Match for resources without an entity tag. For a job and its result it is checked when they are
/// read, for a console when it is known what is asked for.
Refusal check_if_match(ngx_http_request_t *r, const LocationConf &location, Handler handler) {
  bool has_validator = handler == location.job || handler == location.result || handler == location.batch ||
                       handler == location.console || handler == deleter(location) ||
                       is_for_backend(location, handler);
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
  bool acts = (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0 || handler == location.socket;
  if (acts && !is_welcome(r)) {
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "await: answering 403: cross-origin request rejected by await_origins");
    return send_logged_problem(r, 403, "Cross-origin request rejected.");
  }
  bool owned = handler != location.metrics && handler != location.health && handler != location.publish &&
               handler != location.console && handler != location.console_act;
  auto owner = owned ? owner_of(r) : std::nullopt;
  if (owner && (owner->empty() || !is_text(*owner)))
    return send_problem(r, 403, "The request is not authenticated.");
  if (auto refusal = check_ticket_use(r, worker->lifecycle(), location, handler))
    return *refusal;
  if (auto refusal = check_if_match(r, location, handler))
    return *refusal;
  return handler(r, *worker);
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

char *set_content(ngx_conf_t *cf, ngx_http_handler_pt handler) {
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  if (core->handler != nullptr && core->handler != handler)
    return directive_error(cf, place_of(cf), kOtherHandler);
  if (!location->content_at.known())
    location->content_at = place_of(cf);
  core->handler = location->content = handler;
  return NGX_CONF_OK;
}

// nginx runs one handler in a location, the one that was set last, without an error: here a proxy_pass after
// an action
char *refuse_other_handler(ngx_conf_t *cf, const LocationConf &location) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  if (location.content == nullptr || core->handler == location.content)
    return NGX_CONF_OK;
  return directive_error(cf, location.content_at, kOtherHandler);
}

void merge_actions(ngx_conf_t *cf, const LocationConf &outer, LocationConf &inner) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  if (!core->noname)
    return;
  unsigned own = 0;  // what an action of the block itself answers, no action of the location does
  for (const Action &action : kActions)
    own |= inner.*action.handler != nullptr ? action.requests : 0;
  for (const Action &action : kActions) {
    if (inner.*action.handler == nullptr && (action.requests & own) == 0)
      inner.*action.handler = outer.*action.handler;
  }
  for (auto format : kFormats) {
    if (inner.*format == nullptr)
      inner.*format = outer.*format;
  }
  if (has_action(inner) && core->lmt_excpt && core->handler == nullptr)
    core->handler = dispatch;
}

void take_actions(LocationConf &location, const LocationConf &from) {
  for (const Action &action : kActions)
    location.*action.handler = from.*action.handler;
  for (auto format : kFormats)
    location.*format = from.*format;
}

bool has_action(const LocationConf &location) { return find_rival(location, ~0U) != nullptr; }

std::string allowed_methods(const LocationConf &location) {
  std::string out;
  auto add = [&](const char *method) { out += (out.empty() ? "" : ", ") + std::string(method); };
  if (find_rival(location, kGet) != nullptr) {
    add("GET");
    add("HEAD");
  }
  ngx_uint_t proxied = location.proxy != nullptr && location.submit != nullptr ? location.proxy->methods : 0;
  for (auto [name, bit] : kProxyMethods) {
    bool answered = bit == NGX_HTTP_POST
                        ? poster(location) != nullptr && (proxied == 0 || (proxied & bit) != 0)
                    : bit == NGX_HTTP_DELETE ? deleter(location) != nullptr
                                             : false;
    if (answered || (proxied & bit) != 0)
      add(std::string(name).c_str());
  }
  add("OPTIONS");
  return out;
}

/// The console answers all paths below its location, so no other action may stand beside it. Null: none does.
const Action *find_stranger(const LocationConf &location, const Action &added) {
  auto is_console = [](const Action &action) { return action.name == std::string_view("await_console"); };
  auto *found = std::find_if(std::begin(kActions), std::end(kActions), [&](const Action &action) {
    return location.*action.handler != nullptr && is_console(action) != is_console(added);
  });
  return found != std::end(kActions) ? found : nullptr;
}

LocationConf *add_action(ngx_conf_t *cf, Handler LocationConf::*action, Handler handler) {
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  const Action &added = action_of(action);
  if (const Action *rival = find_rival(*location, added.requests)) {
    const char *method = (added.requests & rival->requests) == kPost ? "POST" : "GET";
    directive_error(cf, place_of(cf),
                    rival == &added ? "is duplicate"
                                    : std::string("cannot be used with \"") + rival->name +
                                          "\" in the same location, both handle " + method);
    return nullptr;
  }
  if (const Action *stranger = find_stranger(*location, added)) {
    directive_error(cf, place_of(cf),
                    std::string("cannot be used with \"") + stranger->name +
                        "\" in the same location, the console answers all paths below it");
    return nullptr;
  }
  if (refuse_twice(cf, added.options) != NGX_CONF_OK || set_content(cf, dispatch) != NGX_CONF_OK)
    return nullptr;
  location->*action = handler;
  if (!main->used_by.known())
    main->used_by = place_of(cf);
  return location;
}

}  // namespace await::http
