// ngx_http_await_webhooks_module: lists the deliveries of webhooks, page by page, and sends one once more.

#include <algorithm>
#include <optional>
#include <string>

#include "base/text.h"
#include "core/delivery.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/modules/dispatch.h"
#include "http/runtime/held_request.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/json_list.h"

extern ngx_module_t ngx_http_await_webhooks_module;

namespace await::http {
namespace {

struct WebhooksConf {
  ngx_uint_t used;
  ngx_uint_t all;  ///< everybody's, not only what is the owner's
};

const WebhooksConf &webhooks_conf(ngx_http_request_t *r) {
  return *static_cast<WebhooksConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_webhooks_module));
}

/// Whose deliveries are meant; empty: everybody's.
std::optional<std::string> asked_owner(ngx_http_request_t *r) {
  return webhooks_conf(r).all == 1 ? std::nullopt : std::optional<std::string>(owner_of(r));
}

constexpr int kMost = 200;  // of a page
constexpr std::string_view kArguments[] = {"state", "webhook", "job", "since", "limit", "cursor"};
constexpr std::string_view kStates[] = {"waiting", "retrying", "delivered", "dead"};

/// A request that one call of the database answers.
template <class T>
class DeliveryRequest : public HeldRequest {
 public:
  DeliveryRequest(ngx_http_request_t *r, Runtime &runtime) : HeldRequest(r, runtime) {}
  void drain() override {}  // it is answered soon anyway
  void give_up() override { finish(send_restarting(r_)); }

 protected:
  Answer wait() {
    reading_.set(1);
    register_held();
    return hold();
  }
  virtual Answer answer(const T &outcome) = 0;

  core::Reply<T> reply_ = core::Reply<T>::template to<&DeliveryRequest::on_outcome>(this);

 private:
  void leave() override {
    reply_.unlink();
    reading_.set(0);
  }
  /// Usually destroys this.
  void on_outcome(Result<T> outcome) { finish(outcome ? answer(*outcome) : send_error(r_, outcome.error())); }

  ScopedGauge reading_{Gauge::reads, 0};
};

class PageRequest : public DeliveryRequest<core::DeliveryPage> {
 public:
  using DeliveryRequest::DeliveryRequest;
  Answer start(const core::DeliveryQuery &query) {
    runtime_.backends().list_deliveries(query, reply_);
    return wait();
  }

 private:
  Answer answer(const core::DeliveryPage &page) override {
    wire::JsonList documents;
    for (const std::string &document : page.documents)
      documents.made(document);
    wire::JsonWriter out;
    out.raw("deliveries", documents.take());
    if (page.next) {
      std::string cursor = std::to_string(*page.next);
      out.text("next", cursor);
      add_header(r_, "Link", "<" + next_page(r_, cursor) + ">; rel=\"next\"");
    } else {
      out.null("next");
    }
    add_header(r_, "Cache-Control", "no-store");
    return send(r_, 200, "application/json", out.take());
  }
};

class ResendRequest : public DeliveryRequest<core::Resent> {
 public:
  using DeliveryRequest::DeliveryRequest;
  Answer start(std::int64_t id) {
    id_ = id;
    runtime_.backends().retry_delivery(id, asked_owner(r_), reply_);
    return wait();
  }

 private:
  Answer answer(const core::Resent &outcome) override {
    if (outcome == core::Resent::unknown)
      return send_problem(r_, 404, "There is no such delivery.");
    if (outcome == core::Resent::waiting)
      return send_problem(r_, 409, "The delivery has not ended yet; it will be sent without this.");
    if (outcome == core::Resent::disabled)
      return send_problem(r_, 409, "The endpoint of the delivery is disabled or was removed.");
    wire::JsonWriter out;
    out.text("id", std::to_string(id_));
    out.text("state", "waiting");
    add_header(r_, "Cache-Control", "no-store");
    return send(r_, 202, "application/json", out.take());
  }

  std::int64_t id_ = 0;
};

Answer refuse_argument(ngx_http_request_t *r, std::string_view name, std::string_view rule) {
  return send_problem(r, 400,
                      "The argument \"" + std::string(name) + "\" must be " + std::string(rule) + ".");
}

/// The number that an argument is. An answer if it is none.
Refusal read_number(ngx_http_request_t *r, std::string_view name, const std::optional<std::string> &text,
                    std::int64_t least, std::int64_t most, std::string_view rule,
                    std::optional<std::int64_t> &out) {
  if (!text)
    return std::nullopt;
  out = parse_number(*text, most);
  if (out && *out >= least)
    return std::nullopt;
  return refuse_argument(r, name, rule);
}

/// The page that a request asks for. An answer if one of the arguments is wrong.
OrAnswer<core::DeliveryQuery> asked_deliveries(ngx_http_request_t *r) {
  if (std::string_view name = repeated_argument(r, kArguments); !name.empty())
    return send_problem(r, 400, "The argument \"" + std::string(name) + "\" is given twice.");
  core::DeliveryQuery query;
  query.owner = asked_owner(r);
  query.state = argument(r, "state");
  if (query.state && std::find(std::begin(kStates), std::end(kStates), *query.state) == std::end(kStates))
    return refuse_argument(r, "state", "waiting, retrying, delivered or dead");
  if (auto text = argument(r, "job")) {
    query.job = Uuid::parse(*text);
    if (!query.job)
      return refuse_argument(r, "job", "the id of a job or a batch");
  }
  if (auto text = argument(r, "since")) {
    query.since_us = parse_utc(*text);
    if (!query.since_us)
      return refuse_argument(r, "since", "a time in UTC, in the format 2026-11-21T20:02:02.090Z");
  }
  std::optional<std::int64_t> webhook;
  std::optional<std::int64_t> limit;
  if (auto refusal = read_number(r, "webhook", argument(r, "webhook"), 0, INT32_MAX,
                                 "the number of an endpoint, or 0 for jobs' own URLs", webhook))
    return *refusal;
  if (auto refusal =
          read_number(r, "limit", argument(r, "limit"), 1, kMost, "a number between 1 and 200", limit))
    return *refusal;
  if (auto refusal = read_number(r, "cursor", argument(r, "cursor"), 1, INT64_MAX,
                                 "what an earlier page has as \"next\"", query.after))
    return *refusal;
  if (webhook)
    query.webhook = static_cast<int>(*webhook);
  query.limit = static_cast<int>(limit.value_or(query.limit));
  return query;
}

Answer get_deliveries(ngx_http_request_t *r, Runtime &runtime) {
  if (path_below(r) != "")
    return send_problem(r, 404, "There is no resource at this path.");
  constexpr std::string_view kOffers[] = {"application/json"};
  if (wire::choose(header(r, "accept"), kOffers) < 0)
    return send_problem(r, 406, "A list of deliveries is available as application/json.");
  auto query = asked_deliveries(r);
  if (!query)
    return query.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  request_info(r).delivery = "list";
  return ngx::Held::make<PageRequest>(r, runtime)->start(*query);
}

/// POST <prefix>/<id>/retry
Answer post_retry(ngx_http_request_t *r, Runtime &runtime) {
  std::string_view path = path_below(r).value_or(std::string_view());
  std::optional<std::int64_t> id;
  if (path.starts_with('/') && path.ends_with("/retry"))
    id = parse_number(path.substr(1, path.size() - std::string_view("//retry").size()));
  if (!id)
    return send_problem(r, 404, "There is no resource at this path; use the id of a delivery, and /retry.");
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  return ngx::Held::make<ResendRequest>(r, runtime)->start(*id);
}

char *set_webhooks(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  auto &conf = *static_cast<WebhooksConf *>(data);
  bool writes = false;
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    if (ngx::view(words[i]) == "write")
      writes = true;
    else if (ngx::view(words[i]) == "all")
      conf.all = 1;
    else
      return invalid_parameter(cf, ngx::view(words[i]), "it must be write or all");
  }
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  if (const char *kind = other_kind(*core); kind != nullptr && (writes || core->exact_match == 0))
    return directive_error(
        cf, place_of(cf),
        "requires a prefix location such as \"location /webhooks\", because it answers the "
        "paths below it, but this one is of a different kind: " +
            std::string(kind));
  conf.used = 1;
  LocationConf *location = add_action(cf, &LocationConf::webhooks, get_deliveries);
  if (location == nullptr || (writes && add_action(cf, &LocationConf::retry_delivery, post_retry) == nullptr))
    return static_cast<char *>(NGX_CONF_ERROR);
  if (conf.all == 0)
    location->owner_needed_at = place_of(cf);
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_webhooks"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12, set_webhooks, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<WebhooksConf, &WebhooksConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_webhooks_module =
    await::http::plain_module(&await::http::context, await::http::commands);
