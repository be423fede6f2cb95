// ngx_http_await_health_module: whether this nginx can serve requests, for load balancers and orchestrators.
// It answers from what is known, without a query, so that a check is never slow and costs nothing.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "http/conf/action.h"
#include "http/exchange/readiness.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/json_list.h"

extern ngx_module_t ngx_http_await_health_module;

namespace await::http {
namespace {

struct HealthConf {
  ngx_uint_t given;
  ngx_uint_t redis_required;
};

/// The queues that are paused, a list of their names; empty if that is not known.
std::optional<std::string> paused_queues(Runtime &runtime) {
  const QueueCache::Known &known = runtime.queues().get();
  if (known.queues.empty())
    return std::nullopt;
  wire::JsonList out;
  for (const core::QueueStats &queue : known.queues) {
    if (queue.paused != 0 && queue.name_size > 0)
      out.text(queue.name());
  }
  return out.take();
}

Answer get_health(ngx_http_request_t *r, Runtime &runtime) {
  const auto &conf =
      *static_cast<HealthConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_health_module));
  Backends::Readiness known = runtime.backends().readiness();
  bool draining = runtime.lifecycle().draining();
  if (draining)
    known.problems.insert(known.problems.begin(), {"nginx", "shutting down", {}});
  if (conf.redis_required == 1) {
    auto others = std::stable_partition(known.degraded.begin(), known.degraded.end(), [](const auto &one) {
      return one.part != std::string_view("redis");
    });
    known.problems.insert(known.problems.end(), others, known.degraded.end());
    known.degraded.erase(others, known.degraded.end());
  }
  bool ready = known.problems.empty();
  wire::JsonWriter out;
  out.text("status", !ready ? "unavailable" : known.degraded.empty() ? "ready" : "degraded");
  out.made("problems", encode_problems(known.problems));
  out.made("degraded", encode_problems(known.degraded));
  if (auto paused = paused_queues(runtime))
    out.made("paused", *paused);
  add_header(r, "Cache-Control", "no-store");
  if (!ready)
    add_retry_after(r);
  if (draining)
    r->keepalive = 0;  // the next check is for the new nginx workers
  return send(r, ready ? 200 : 503, "application/json", out.take());
}

char *set_health(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *health = static_cast<HealthConf *>(conf);
  if (add_action(cf, &LocationConf::health, get_health) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  health->given = 1;
  if (cf->args->nelts == 1)
    return NGX_CONF_OK;
  std::string_view word = ngx::view(static_cast<ngx_str_t *>(cf->args->elts)[1]);
  if (word != "redis=required" && word != "redis=optional")
    return invalid_parameter(cf, word, "it must be redis=optional|required");
  health->redis_required = word == "redis=required" ? 1 : 0;
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (health->redis_required == 1)
    main->redis_required_at = place_of(cf);
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_health"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1, set_health, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<HealthConf, &HealthConf::given>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_health_module =
    await::http::plain_module(&await::http::context, await::http::commands);
