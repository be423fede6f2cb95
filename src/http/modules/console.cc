// ngx_http_await_console_module: a page for operators, what it shows as JSON and as a stream, and its
// actions.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "core/console.h"
#include "core/job_list.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "http/exchange/conditions.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/exchange/small_body.h"
#include "http/live/console_stream.h"
#include "http/live/job_wait.h"
#include "http/modules/console_assets.h"
#include "http/modules/dispatch.h"
#include "http/runtime/held_request.h"
#include "ngx/str.h"
#include "wire/headers.h"
#include "wire/json_check.h"
#include "wire/json_writer.h"
#include "wire/sse.h"

extern ngx_module_t ngx_http_await_console_module;

namespace await::http {
namespace {

struct ConsoleConf {
  ngx_uint_t used;
  ngx_uint_t writes;
};

constexpr std::int64_t kMostConsoles = 100;    // that are open in an nginx worker
constexpr char kShape[] = "an action needs ";  // what console_act() says of an action that is none
constexpr char kTooManyConsoles[] = "Too many consoles are open on this server; close some.";
constexpr std::size_t kMostActionBytes = 16384;  // 100 ids, and more

bool may_write(ngx_http_request_t *r) {
  return static_cast<ConsoleConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_console_module))->writes ==
         1;
}

Answer send_document(ngx_http_request_t *r, std::string_view json) {
  add_header(r, "Cache-Control", "no-store");
  add_header(r, "X-Content-Type-Options", "nosniff");
  return send(r, 200, "application/json", json);
}

/// Answers with what one call of the database returns.
class ReadRequest : public HeldRequest {
 public:
  ReadRequest(ngx_http_request_t *r, Runtime &runtime) : HeldRequest(r, runtime) {}

  Answer start(core::ConsoleRead what, const std::string &arguments) {
    reading_.set(1);
    register_held();
    runtime_.backends().read_console(what, arguments, reply_);
    return hold();
  }
  void drain() override {}  // it is answered soon anyway
  void give_up() override { finish(send_restarting(r_)); }

 private:
  void leave() override {
    reply_.unlink();
    reading_.set(0);
  }
  /// Usually destroys this.
  void on_read(Result<core::ConsoleDocument> document) {
    if (!document)
      finish(send_error(r_, document.error()));
    else if (!*document)
      finish(send_problem(r_, 404, "There is no such job."));
    else
      finish(send_document(r_, **document));
  }

  ScopedGauge reading_{Gauge::reads, 0};
  core::Reply<core::ConsoleDocument> reply_ =
      core::Reply<core::ConsoleDocument>::to<&ReadRequest::on_read>(this);
};

class ActRequest : public SmallBody {
 public:
  ActRequest(ngx_http_request_t *r, Runtime &runtime)
      : SmallBody(r, runtime, kMostActionBytes, {413, "An action has at most 16 KB."}) {}

 private:
  void on_body() override {
    wire::JsonCheck check(wire::JsonCheck::Numbers::bounded);
    std::string_view text = trim(body());
    if (!check.feed(text) || !check.finish() || !text.starts_with('{'))
      refuse_shape();
    else
      runtime_.backends().act_for_console(body(), reply_);
  }

  void on_acted(Result<core::ConsoleActed> acted) {
    if (!acted && acted.error().detail.find(kShape) != std::string::npos) {
      refuse_shape();
    } else if (!acted && acted.error().code == Code::forbidden) {
      finish(send_problem(r_, 403,
                          "The database role of nginx may not act for operators; GRANT await_console TO "
                          "it, or leave out \"write\"."));
    } else if (!acted) {
      finish(send_error(r_, acted.error()));
    } else {
      tell(*acted);
      finish(send_document(r_, acted->document));
    }
  }

  void refuse_shape() {
    finish(send_problem(r_, 400,
                        "An action is {\"action\": \"retry\" or \"cancel\", \"jobs\": [ids]} or {\"action\": "
                        "\"pause\" or \"resume\", \"queues\": [names]}, for 1 to 100 of them."));
  }

  /// Those who watch, and those who work.
  void tell(const core::ConsoleActed &acted) {
    for (const auto &one : acted.cancelled)
      runtime_.backends().bus().publish(one.job, one.seq, "cancelled");
    for (const std::string &owner : acted.owners)
      runtime_.user_hints().publish_soon(owner);
    for (const std::string &queue : acted.queues)
      runtime_.backends().bus().announce(queue);
  }

  void cancel_waits() override { reply_.unlink(); }

  core::Reply<core::ConsoleActed> reply_ = core::Reply<core::ConsoleActed>::to<&ActRequest::on_acted>(this);
};

// --- what is read: arguments become a JSON object for the function of SQL
// ---------------------------------------

struct Argument {
  const char *name;
  bool (*is_good)(std::string_view text);
  const char *rule;
};

bool is_queue(std::string_view text) { return !text.empty() && text.size() <= 64 && is_text(text); }
bool is_owner(std::string_view text) { return !text.empty() && text.size() <= 1024 && is_text(text); }
bool is_uuid(std::string_view text) { return Uuid::parse(text).has_value(); }
// PostgreSQL knows no year 0
bool is_time(std::string_view text) { return parse_utc(text).has_value() && !text.starts_with("0000"); }
bool is_limit(std::string_view text) { return parse_number(text, 100).value_or(0) > 0; }
bool is_states(std::string_view text) {
  bool good = !text.empty() && !text.ends_with(',');
  while (good && !text.empty())
    good = core::parse_state(cut(text, ',')).has_value();
  return good;
}
bool is_cursor(std::string_view text) {
  return text.size() > 37 && text[36] == '.' && is_uuid(text.substr(0, 36)) &&
         parse_number(text.substr(37), INT64_MAX).has_value();
}

constexpr char kQueueRule[] = "at most 64 characters of the name of a queue";
constexpr char kTimeRule[] = "a time in UTC, in the format 2026-11-21T20:02:02.090Z";
// clang-format off
constexpr Argument kQueuesArguments[] = {
    {"match", is_queue, kQueueRule},
    {"after", is_queue, kQueueRule},
    {"limit", is_limit, "a number between 1 and 100"},
};
constexpr Argument kJobsArguments[] = {
    {"queue",  is_queue,  kQueueRule},
    {"state",  is_states, "one or several of pending, processing, completed, failed, cancelled and expired, with commas between them"},
    {"owner",  is_owner,  "a name of at most 1024 bytes"},
    {"batch",  is_uuid,   "the id of a batch"},
    {"since",  is_time,   kTimeRule},
    {"until",  is_time,   kTimeRule},
    {"limit",  is_limit,  "a number between 1 and 100"},
    {"cursor", is_cursor, "what an earlier page has as \"next\""},
};
constexpr Argument kFailuresArguments[] = {
    {"queue", is_queue, kQueueRule},
};
// clang-format on

/// The arguments as a JSON object. An answer if one of them is wrong.
OrAnswer<std::string> read_arguments(ngx_http_request_t *r, std::span<const Argument> known) {
  wire::JsonWriter out;
  for (const Argument &one : known) {
    std::string_view name = one.name;
    if (!repeated_argument(r, std::span(&name, 1)).empty())
      return send_problem(r, 400, "The argument \"" + std::string(name) + "\" is given twice.");
    auto text = argument(r, name);
    if (!text)
      continue;
    if (!one.is_good(*text))
      return send_problem(
          r, 400, "The argument \"" + std::string(name) + "\" must be " + std::string(one.rule) + ".");
    out.text(name, *text);
  }
  return out.take();
}

Answer read(ngx_http_request_t *r, Runtime &runtime, core::ConsoleRead what,
            std::span<const Argument> known) {
  auto arguments = read_arguments(r, known);
  if (!arguments)
    return arguments.answer();
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  request_info(r).delivery = "list";
  return ngx::Held::make<ReadRequest>(r, runtime)->start(what, *arguments);
}

Answer read_job(ngx_http_request_t *r, Runtime &runtime, std::string_view id) {
  auto job = Uuid::parse(id);
  if (!job)
    return send_problem(r, 404, "There is no such job.");
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  wire::JsonWriter out;
  out.text("id", job->text());
  runtime.node_report().show(*job);
  return ngx::Held::make<ReadRequest>(r, runtime)->start(core::ConsoleRead::job, out.take());
}

/// Clients that use up await_max_held do not keep operators out.
bool is_room_for_console(Runtime &runtime) { return runtime.counters().of(Gauge::consoles) < kMostConsoles; }

Answer get_overview(ngx_http_request_t *r, Runtime &runtime) {
  if (runtime.lifecycle().draining())
    return send_restarting(r);
  if (!is_room_for_console(runtime))
    return send_unavailable(r, kTooManyConsoles);
  return ngx::Held::make<ConsoleOverview>(r, runtime, may_write(r))->start();
}

Answer get_live(ngx_http_request_t *r, Runtime &runtime) {
  bool draining = runtime.lifecycle().draining();
  if (draining || !is_room_for_console(runtime)) {
    // any status but 200 would stop EventSource for good
    add_header(r, "Cache-Control", "no-store");
    wire::JsonWriter why;
    why.text("detail", draining ? "The server is restarting." : kTooManyConsoles);
    return send(r, 200, "text/event-stream",
                wire::sse_retry(retry_ms(location_conf(r), runtime.random())) +
                    wire::sse_frame({}, "refused", why.take()));
  }
  return ngx::Held::make<ConsoleStream>(r, runtime, may_write(r))->start();
}

// --- the page
// -------------------------------------------------------------------------------------------------------

Answer send_asset(ngx_http_request_t *r, const ConsoleAsset &asset) {
  add_header(r, "ETag", asset.etag);
  add_header(r, "Cache-Control", "no-cache");
  if (wire::etag_listed(own_header(r, "if-none-match"), asset.etag))
    return send_empty(r, 304);
  add_header(r, "Content-Security-Policy",
             "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  add_header(r, "X-Content-Type-Options", "nosniff");
  add_header(r, "X-Frame-Options", "DENY");
  add_header(r, "Referrer-Policy", "no-referrer");
  add_header(r, "Cross-Origin-Resource-Policy", "same-origin");
  return send(r, 200, asset.type, asset.bytes);
}

/// The page's own references are relative to its directory.
Answer send_to_directory(ngx_http_request_t *r) {
  std::string_view path = ngx::view(r->uri);
  // "./": a name with a colon would be a URI of its own
  add_header(r, "Location", "./" + std::string(path.substr(path.rfind('/') + 1)) + "/");
  add_header(r, "Cache-Control", "no-store");
  return send_empty(r, 308);
}

const ConsoleAsset *find_asset(std::string_view path) {
  for (const ConsoleAsset &asset : console_assets()) {
    if (asset.path == (path.empty() ? "/index.html" : path))
      return &asset;
  }
  return nullptr;
}

/// If-Match. What is no file has no entity tag, and "*" matches it.
Refusal check_conditions(ngx_http_request_t *r, const ConsoleAsset *asset) {
  const std::string etags[] = {asset != nullptr ? std::string(asset->etag) : "W/\"\""};
  if (!has_conditions(r) || conditions_hold(r, etags, 0))
    return std::nullopt;
  return send_problem(r, 412, "This resource is another one than that of If-Match.");
}

Answer get_console(ngx_http_request_t *r, Runtime &runtime) {
  auto path = path_below(r);
  if (!path)
    return send_problem(r, 404, "There is no resource at this path.");
  if (path->empty() && !ngx::view(r->uri).ends_with('/'))
    return send_to_directory(r);
  const ConsoleAsset *asset = find_asset(*path);
  if (auto refusal = check_conditions(r, asset))
    return *refusal;
  if (asset != nullptr)
    return send_asset(r, *asset);
  constexpr std::string_view kJob = "/api/jobs/";
  if (*path == "/api/live")
    return get_live(r, runtime);
  if (*path == "/api/overview")
    return get_overview(r, runtime);
  if (*path == "/api/queues")
    return read(r, runtime, core::ConsoleRead::queues, kQueuesArguments);
  if (*path == "/api/jobs")
    return read(r, runtime, core::ConsoleRead::jobs, kJobsArguments);
  if (*path == "/api/failures")
    return read(r, runtime, core::ConsoleRead::failures, kFailuresArguments);
  if (path->starts_with(kJob))
    return read_job(r, runtime, path->substr(kJob.size()));
  return send_problem(r, 404, "There is no resource at this path.");
}

/// POST <prefix>/api/actions. A page elsewhere can send JSON only after a preflight, which is not answered.
Answer post_action(ngx_http_request_t *r, Runtime &runtime) {
  if (path_below(r) != "/api/actions")
    return send_problem(r, 404, "There is no resource at this path.");
  std::string type = header(r, "content-type");
  std::string_view rest = type;
  if (!iequals(trim(cut(rest, ';')), "application/json"))
    return send_problem(r, 415, "An action must be application/json.");
  if (auto refusal = Receiver::check_room(r, runtime))
    return *refusal;
  return ngx::Held::make<ActRequest>(r, runtime)->receive();
}

char *set_console(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *core =
      static_cast<ngx_http_core_loc_conf_t *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  auto &conf = *static_cast<ConsoleConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (cf->args->nelts == 2 && ngx::view(words[1]) != "write")
    return invalid_parameter(cf, ngx::view(words[1]), "it must be write");
  if (const char *kind = other_kind(*core))
    return directive_error(cf, place_of(cf),
                           "requires a prefix location such as \"location /console\", because it answers the "
                           "paths below it, but this one is of a different kind: " +
                               std::string(kind));
  conf.used = 1;
  core->auto_redirect = core->name.len > 0 && core->name.data[core->name.len - 1] == '/' ? 1 : 0;
  conf.writes = cf->args->nelts == 2 ? 1 : 0;
  if (add_action(cf, &LocationConf::console, get_console) == nullptr ||
      (conf.writes == 1 && add_action(cf, &LocationConf::console_act, post_action) == nullptr))
    return static_cast<char *>(NGX_CONF_ERROR);
  static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module))->wants_console = 1;
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_console"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1, set_console, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<ConsoleConf, &ConsoleConf::used>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_console_module =
    await::http::plain_module(&await::http::context, await::http::commands);
