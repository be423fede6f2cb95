// ngx_http_await_metrics_module: the gauges and counters of all nginx workers, for Prometheus.

#include "http/conf/action.h"
#include "http/exchange/respond.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "wire/queue_metrics.h"
#include "wire/relay_metrics.h"

extern ngx_module_t ngx_http_await_metrics_module;

namespace await::http {
namespace {

template <class What>
struct Line {
  What what;
  const char *name;  ///< with its labels, if any
  const char *help;  ///< null: as the line before
};

// clang-format off
constexpr Line<Gauge> kGauges[] = {
    {Gauge::held,        "await_held",                "Held requests and streams (limit: await_max_held)."},
    {Gauge::parked,      "await_parked",              "Held clients whose connection is parked, without a request (await_park)."},
    {Gauge::sockets,     "await_sockets",             "Open WebSockets (limit: await_max_held)."},
    {Gauge::streams,     "await_streams",             "Open event streams (limit: await_max_held)."},
    {Gauge::polls,       "await_polls",               "Held requests that wait for an answer, parked ones too (limit: await_max_held)."},
    {Gauge::consoles,    "await_consoles",            "Open consoles (await_console)."},
    {Gauge::watched,     "await_watched_jobs",        "Jobs and batches that a client or await_cache watches."},
    {Gauge::submissions, "await_inflight_submissions", "Submissions in progress (limit: await_max_inflight)."},
    {Gauge::reads,       "await_inflight_reads",      "Requests waiting for their first read (limit: await_max_inflight)."},
    {Gauge::buffered,    "await_buffered_bytes",      "Bytes buffered for slow clients (limit per client: await_max_buffered) and of incomplete messages (limit per client: await_max_frame)."},
    {Gauge::uploads,     "await_uploads_bytes",       "Bytes of request bodies not stored yet (limit: await_max_uploads)."},
    {Gauge::postgres,    "await_postgres_connections", "Established connections to PostgreSQL, three per nginx worker."},
    {Gauge::greeted,     "await_postgres_greeted",    "Connections to PostgreSQL that are in use: the database has answered the greeting."},
    {Gauge::redis,       "await_redis_connections",   "Connections to Redis servers that have answered, one per server and nginx worker."},
    {Gauge::subscribed,  "await_redis_subscribed",    "Of these, connections whose subscriptions were accepted."},
    {Gauge::listening,   "await_listen_connections",  "Connections to PostgreSQL that receive its notifications (await.notify), one per nginx worker."},
    {Gauge::draining,    "await_draining_workers",    "Old nginx workers still running after a reload (limit: await_drain)."},
};
constexpr Line<Counter> kCounters[] = {
    {Counter::submitted,           "await_submitted_total",                        "Submissions committed."},
    {Counter::replayed,            "await_replayed_total",                         "Repeated submissions answered with the first job (Idempotency-Key)."},
    {Counter::published,           "await_published_total",                        "Events published to topics."},
    {Counter::tickets,             "await_tickets_total",                          "Tickets issued (await_ticket)."},
    {Counter::revoked,             "await_revoked_total",                          "Streams, WebSockets and held requests closed by await.revoke()."},
    {Counter::refused_submissions, "await_refused_total{limit=\"submissions\"}",   "Requests rejected because a limit was reached."},
    {Counter::refused_reads,       "await_refused_total{limit=\"reads\"}",         nullptr},
    {Counter::refused_held,        "await_refused_total{limit=\"held\"}",          nullptr},
    {Counter::refused_uploads,     "await_refused_total{limit=\"uploads\"}",       nullptr},
    {Counter::paused,              "await_paused_total",                           "Times an event stream was paused for a slow client."},
    {Counter::cut,                 "await_cut_total",                              "Requests closed after a reload when await_drain passed."},
    {Counter::resets,              "await_resets_total",                           "Resets sent because a cursor could not be resumed."},
    {Counter::cache_hits,          "await_cache_total{status=\"hit\"}",            "Job reads looked up in await_cache, by status."},
    {Counter::cache_misses,        "await_cache_total{status=\"miss\"}",           nullptr},
    {Counter::batch_hits,          "await_batch_cache_total{status=\"hit\"}",      "Batch documents answered where await_cache is on, by status."},
    {Counter::batch_misses,        "await_batch_cache_total{status=\"miss\"}",     nullptr},
    {Counter::statements,          "await_postgres_statements_total",              "Statements sent to PostgreSQL for clients."},
};
// clang-format on

template <class What, std::size_t N>
void add_lines(std::string &out, const Counters &counters, const Line<What> (&lines)[N], const char *type) {
  for (const Line<What> &line : lines) {
    std::string name = line.name;
    if (line.help != nullptr) {
      std::string family = name.substr(0, name.find('{'));
      out += "# HELP " + family + " " + line.help + "\n# TYPE " + family + " " + type + "\n";
    }
    out += name + " " + std::to_string(counters.sum(line.what)) + "\n";
  }
}

Answer get_metrics(ngx_http_request_t *r, Runtime &runtime) {
  runtime.sample_gauges();
  std::string out;
  add_lines(out, runtime.counters(), kGauges, "gauge");
  add_lines(out, runtime.counters(), kCounters, "counter");
  std::string lag = std::to_string(runtime.counters().highest(Gauge::reread_lag) / 1000);
  out +=
      "# HELP await_reread_lag_seconds Time by which the re-read of changes is late, in the slowest nginx "
      "worker.\n"
      "# TYPE await_reread_lag_seconds gauge\nawait_reread_lag_seconds " +
      lag + "\n";
  const QueueCache::Known &known = runtime.queues().get();
  out += wire::queue_metrics(known.queues, runtime.now_ms() - known.read_at_ms);
  out += wire::relay_metrics(known.relays);
  out += wire::webhook_metrics(known.deliveries);
  add_header(r, "Cache-Control", "no-store");
  return send(r, 200, "text/plain; version=0.0.4; charset=utf-8", out);
}

char *set_metrics(ngx_conf_t *cf, ngx_command_t *, void *) {
  if (add_action(cf, &LocationConf::metrics, get_metrics) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module))->wants_queues = 1;
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_metrics"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_metrics, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = {};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_metrics_module =
    await::http::plain_module(&await::http::context, await::http::commands);
