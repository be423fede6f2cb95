// ngx_http_await_resources_module: "await", the whole API of a queue in one directive. It gives each path
// below its location what the directives in kRows would give to a location of that path.

#include <algorithm>
#include <string>

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/conf.h"
#include "http/conf/list_options.h"
#include "http/conf/settings.h"
#include "http/exchange/access.h"
#include "http/exchange/request.h"
#include "http/exchange/respond.h"
#include "http/modules/dispatch.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_submit_module;
extern ngx_module_t ngx_http_await_jobs_module;
extern ngx_module_t ngx_http_await_batch_module;
extern ngx_module_t ngx_http_await_batches_module;
extern ngx_module_t ngx_http_await_job_module;
extern ngx_module_t ngx_http_await_result_module;
extern ngx_module_t ngx_http_await_retry_job_module;
extern ngx_module_t ngx_http_await_events_module;
extern ngx_module_t ngx_http_await_socket_module;
extern ngx_module_t ngx_http_await_resources_module;

namespace await::http {
namespace {

/// The rows that an option of "await" goes to.
enum Takers : unsigned {
  kSubmit = 1U << 0,
  kJobs = 1U << 1,
  kJob = 1U << 2,
  kResult = 1U << 3,
  kEvents = 1U << 4,
  kOneSocket = 1U << 5,  // of one job or batch
  kSocket = 1U << 6,
  kSubmitBatch = 1U << 7,
  kBatches = 1U << 8,
  kBatch = 1U << 9,
  kAdd = 1U << 10,  // a job to a batch
  kRetry = 1U << 11,
  kLists = kJobs | kBatches,
  kSubmits = kSubmit | kSubmitBatch | kAdd
};

/// A directive, and the path below the location where it stands.
struct Row {
  std::string_view path;  ///< "*" is any one segment, which is the id
  ngx_module_t *module;   ///< of the directive, the first one of its table
  const char *subject;    ///< its first parameter; empty: none. Null: the queue; "queues=": likewise
  unsigned takes;         ///< its options: those with this bit
  const char *more[2];    ///< what else it has; null: nothing
};

// The rows of a path are together. A path is matched by the first one that it fits, in this order.
constexpr char kQueues[] = "queues=";
constexpr char kId[] = "$await_path_id";
constexpr char kJobChannel[] = "job:$await_path_id";
constexpr char kBatchChannel[] = "batch:$await_path_id";
constexpr char kBatchOption[] = "batch=$await_path_id";
constexpr char kPhaseOption[] = "phase=$arg_phase";
constexpr std::string_view kBatchesPath = "/batches";
constexpr Row kRows[] = {
    {"", &ngx_http_await_submit_module, nullptr, kSubmit},
    {"", &ngx_http_await_jobs_module, nullptr, kJobs},
    {"/socket", &ngx_http_await_socket_module, "", kSocket},
    {kBatchesPath, &ngx_http_await_batch_module, kQueues, kSubmitBatch},
    {kBatchesPath, &ngx_http_await_batches_module, "", kBatches},
    {"/batches/*", &ngx_http_await_submit_module, nullptr, kAdd, {kBatchOption, kPhaseOption}},
    {"/batches/*", &ngx_http_await_batch_module, kId, kBatch},
    {"/batches/*", &ngx_http_await_events_module, kBatchChannel, kEvents},
    {"/batches/*", &ngx_http_await_socket_module, kBatchChannel, kOneSocket},
    {"/batches/*/events", &ngx_http_await_events_module, kBatchChannel, kEvents},
    {"/batches/*/events", &ngx_http_await_socket_module, kBatchChannel, kOneSocket},
    {"/*", &ngx_http_await_job_module, kId, kJob},
    {"/*", &ngx_http_await_events_module, kJobChannel, kEvents},
    {"/*", &ngx_http_await_socket_module, kJobChannel, kOneSocket},
    {"/*/result", &ngx_http_await_result_module, kId, kResult},
    {"/*/retry", &ngx_http_await_retry_job_module, kId, kRetry},
    {"/*/events", &ngx_http_await_events_module, kJobChannel, kEvents},
    {"/*/events", &ngx_http_await_socket_module, kJobChannel, kOneSocket}};

struct Option {
  std::string_view word;  ///< all of it, or up to the "="
  unsigned takers;
};

constexpr Option kOptions[] = {{"file=", kSubmits},
                               {"type=", kSubmits},
                               {"params=", kSubmits},
                               {"priority=", kSubmits},
                               {"delay=", kSubmits},
                               {"lease=", kSubmits},
                               {"max_attempts=", kSubmits},
                               {"deadline=", kSubmits},
                               {"retain=", kSubmits},
                               {"max_pending=", kSubmits | kRetry},
                               {"max_pending_per_owner=", kSubmits | kRetry},
                               {"webhook=", kSubmits},
                               {"webhook_on=", kSubmits},
                               {"batch=", kSubmit},
                               {"phase=", kSubmit},
                               {kQueues, kSubmitBatch},
                               {"phases=", kSubmitBatch},
                               {"on_ready=", kSubmitBatch},
                               {"options=", kSubmitBatch},
                               {"all", kLists},
                               {"format=", kSubmit | kAdd | kJob | kJobs | kRetry},
                               {"default=json", kJob | kBatch | kEvents},
                               {"default=text", kJob | kBatch},
                               {"pending=", kResult},
                               {"failed=", kResult},
                               {"event=", kEvents | kOneSocket | kSocket},
                               {"thin", kEvents | kOneSocket | kSocket},
                               {"linger", kEvents},
                               {"plain", kOneSocket}};

/// A path, and the configuration of the requests for it.
struct Resource {
  std::string_view path;
  void **given;     ///< a location's configuration, as far as the rows of the path have set it
  void **loc_conf;  ///< that of the location with what is given, for r->loc_conf; null: there is none
};

struct ResourcesMain {
  ngx_flag_t used;
};
struct ResourcesConf {
  Resource *resources;    ///< of a location with "await"; null: another one
  ngx_uint_t count;       ///< of resources
  std::string_view path;  ///< of a resource
};

template <class Conf>
Conf *conf_of(void **loc_conf, const ngx_module_t &module) {
  return static_cast<Conf *>(loc_conf[module.ctx_index]);
}

ngx_http_core_loc_conf_t *core_conf(void **loc_conf) {
  return conf_of<ngx_http_core_loc_conf_t>(loc_conf, ngx_http_core_module);
}

void **current(ngx_conf_t *cf) { return static_cast<ngx_http_conf_ctx_t *>(cf->ctx)->loc_conf; }

/// Whether a path is one of `pattern`; the segment that is the id goes to `id`.
bool matches(std::string_view pattern, std::string_view path, std::string_view &id) {
  auto star = pattern.find('*');
  if (star == pattern.npos)
    return path == pattern;
  std::string_view before = pattern.substr(0, star);
  std::string_view after = pattern.substr(star + 1);
  if (!path.starts_with(before))
    return false;
  path.remove_prefix(before.size());
  id = path.substr(0, path.find('/'));
  return !id.empty() && path.substr(id.size()) == after;
}

/// Gives a request the configuration of its path. In the first phase in which "if" and limit_except blocks
/// have been chosen, so that they apply, and before all that asks for the actions of a location.
ngx_int_t select_resource(ngx_http_request_t *r) {
  auto &conf = *conf_of<ResourcesConf>(r->loc_conf, ngx_http_await_resources_module);
  if (conf.resources == nullptr || r->content_handler != dispatch)
    return NGX_DECLINED;
  auto path = path_below(r);
  std::string_view id;
  auto *end = conf.resources + conf.count;
  auto *found = std::find_if(conf.resources, end, [&](const Resource &resource) {
    return path && matches(resource.path, *path, id);
  });
  if (found != end && found->loc_conf != nullptr)
    r->loc_conf = found->loc_conf;
  return NGX_DECLINED;
}

ngx_int_t get_id(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t) {
  std::string_view pattern = conf_of<ResourcesConf>(r->loc_conf, ngx_http_await_resources_module)->path;
  auto path = path_below(r);
  std::string_view id;
  value->not_found = !path || !matches(pattern, *path, id) || id.empty() ? 1 : 0;
  value->valid = value->not_found == 0 ? 1 : 0;
  value->no_cacheable = 1;
  value->len = static_cast<unsigned>(id.size()) & 0x0fffffff;
  value->data = reinterpret_cast<u_char *>(const_cast<char *>(id.data()));
  return NGX_OK;
}

/// For a path that is no resource.
Answer refuse_path(ngx_http_request_t *r, Runtime &) {
  return send_problem(r, 404, "There is no resource at this path.");
}

/// A copy of a location's configuration in which what the rows set is empty.
void **emptied(ngx_conf_t *cf, void **loc_conf) {
  void **out = static_cast<void **>(ngx_palloc(cf->pool, ngx_http_max_module * sizeof(void *)));
  if (out == nullptr)
    throw std::bad_alloc();
  std::copy_n(loc_conf, ngx_http_max_module, out);
  auto empty = [&](const ngx_module_t &module) {
    void *made = static_cast<ngx_http_module_t *>(module.ctx)->create_loc_conf(cf);
    if (made == nullptr)
      throw std::bad_alloc();
    out[module.ctx_index] = made;
  };
  empty(ngx_http_await_module);
  empty(ngx_http_await_resources_module);
  for (const Row &row : kRows)
    empty(*row.module);
  return out;
}

const Option *find_option(std::string_view word) {
  auto *found = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option &option) {
    return option.word.ends_with('=') ? word.starts_with(option.word) : word == option.word;
  });
  return found != std::end(kOptions) ? found : nullptr;
}

/// Whether the option has been given to "await".
bool is_given(ngx_conf_t *cf, std::string_view option) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  return std::any_of(words + 2, words + cf->args->nelts,
                     [&](const ngx_str_t &word) { return ngx::view(word).starts_with(option); });
}

/// The words of the directive of a row.
ngx_array_t *words_of(ngx_conf_t *cf, const Row &row) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  ngx_array_t *args = ngx_array_create(cf->pool, cf->args->nelts + std::size(row.more), sizeof(ngx_str_t));
  if (args == nullptr)
    throw std::bad_alloc();
  auto add = [&](ngx_str_t word) { *static_cast<ngx_str_t *>(ngx_array_push(args)) = word; };
  add(words[0]);  // errors name "await", which the operator has written
  if (row.subject == nullptr)
    add(words[1]);
  else if (row.subject == kQueues && !is_given(cf, kQueues))
    add(ngx::copy(cf->pool, kQueues + std::string(ngx::view(words[1]))));
  else if (row.subject != kQueues && *row.subject != '\0')
    add(ngx::borrow(row.subject));
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    if (find_option(ngx::view(words[i]))->takers & row.takes)
      add(words[i]);
  }
  for (const char *word : row.more) {
    if (word != nullptr)
      add(ngx::borrow(word));
  }
  return args;
}

/// Sets the directive of a row: calls nginx's function of it, with its words instead of those of "await".
char *set_row(ngx_conf_t *cf, const Row &row, void **given) {
  ngx_array_t *all = std::exchange(cf->args, words_of(cf, row));
  ngx_http_conf_ctx_t context = *static_cast<ngx_http_conf_ctx_t *>(cf->ctx);
  context.loc_conf = given;
  void *outer = std::exchange(cf->ctx, &context);
  ngx_command_t *command = row.module->commands;
  char *rc = command->set(cf, command, given[row.module->ctx_index]);
  cf->ctx = outer;
  cf->args = all;
  return rc;
}

/// Whether the row's directive cannot be had: it takes no queue with variables.
bool is_missing(ngx_conf_t *cf, const Row &row) {
  std::string_view queue = ngx::view(static_cast<ngx_str_t *>(cf->args->elts)[1]);
  return row.subject == kQueues && queue.find('$') != queue.npos && !is_given(cf, kQueues);
}

/// Refuses an option that does not exist, or that only a missing row would take.
char *check_options(ngx_conf_t *cf) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  unsigned taken = 0;
  for (const Row &row : kRows)
    taken |= is_missing(cf, row) ? 0 : row.takes;
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    const Option *given = find_option(ngx::view(words[i]));
    if (given != nullptr && (given->takers & taken) != 0)
      continue;
    if (given != nullptr)
      return invalid_parameter(cf, ngx::view(words[i]),
                               "it requires \"queues=\", because batches have no queue with variables");
    std::string rule = "it must be one of";
    for (const Option &option : kOptions)
      rule += (&option == kOptions ? " " : ", ") + std::string(option.word);
    return invalid_parameter(cf, ngx::view(words[i]), rule.c_str());
  }
  return NGX_CONF_OK;
}

char *set_await(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto &conf = *static_cast<ResourcesConf *>(data);
  void **location = current(cf);
  if (const char *kind = other_kind(*core_conf(location)))
    return directive_error(
        cf, place_of(cf),
        "requires a prefix location such as \"location /jobs\", because it answers the paths "
        "below it, but this one is of a different kind: " +
            std::string(kind));
  LocationConf *settings = add_action(cf, &LocationConf::resources, refuse_path);
  if (settings == nullptr || check_options(cf) != NGX_CONF_OK)
    return static_cast<char *>(NGX_CONF_ERROR);
  conf.resources = static_cast<Resource *>(
      ngx_pcalloc(cf->pool, std::size(kRows) * sizeof(Resource)));  // a path has a row
  if (conf.resources == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  for (const Row &row : kRows) {
    if (conf.count == 0 || conf.resources[conf.count - 1].path != row.path)
      conf.resources[conf.count++] = {row.path, emptied(cf, location), nullptr};
    if (is_missing(cf, row))
      continue;
    void **given = conf.resources[conf.count - 1].given;
    if (char *rc = set_row(cf, row, given); rc != NGX_CONF_OK)
      return rc;
    // what is checked when the whole location has been read
    for (auto field : {&LocationConf::owner_quota_at, &LocationConf::form_at, &LocationConf::webhook_at}) {
      if (Place at = conf_of<LocationConf>(given, ngx_http_await_module)->*field; at.known())
        settings->*field = at;
    }
  }
  static_cast<ResourcesMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_resources_module))
      ->used = 1;
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await"), NGX_HTTP_LOC_CONF | NGX_CONF_1MORE, set_await, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

void *create_main(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(ResourcesMain)); }

void *create_location(ngx_conf_t *cf) { return ngx_pcalloc(cf->pool, sizeof(ResourcesConf)); }

/// Without owners there are no lists, unless they are everybody's.
void leave_out_lists(void **loc_conf, LocationConf &location) {
  if (location.scoped == 1)
    return;
  if (conf_of<ListConf>(loc_conf, ngx_http_await_jobs_module)->all == 0)
    location.jobs = nullptr;
  if (conf_of<ListConf>(loc_conf, ngx_http_await_batches_module)->all == 0)
    location.batches = nullptr;
}

/// With "await_proxy", jobs are requests to its location. Batches could contain other ones.
void leave_out_batches(LocationConf &location) {
  location.submit = location.batch_submit = nullptr;
  location.proxy = nullptr;
}

/// The configuration of a resource: that of the location, merged, with the actions of the resource. Null if
/// there are none.
void **make_resource(ngx_conf_t *cf, void **loc_conf, const Resource &resource) {
  void **out = emptied(cf, loc_conf);
  for (const Row &row : kRows)
    out[row.module->ctx_index] = resource.given[row.module->ctx_index];
  auto *location = conf_of<LocationConf>(out, ngx_http_await_module);
  *location = *conf_of<LocationConf>(loc_conf, ngx_http_await_module);
  take_actions(*location, *conf_of<LocationConf>(resource.given, ngx_http_await_module));
  leave_out_lists(out, *location);
  if (location->proxy != nullptr && !resource.path.empty())
    leave_out_batches(*location);
  if (resource.path.starts_with(kBatchesPath))
    location->levels_below_jobs =
        static_cast<ngx_uint_t>(std::count(resource.path.begin(), resource.path.end(), '/'));
  conf_of<ResourcesConf>(out, ngx_http_await_resources_module)->path = resource.path;
  return has_action(*location) ? out : nullptr;
}

/// Runs after the merge of ngx_http_await_module, which the resources take their settings from.
char *merge_location(ngx_conf_t *cf, void *parent, void *child) {
  auto &outer = *static_cast<ResourcesConf *>(parent);
  auto &inner = *static_cast<ResourcesConf *>(child);
  void **loc_conf = current(cf);
  auto *location = conf_of<LocationConf>(loc_conf, ngx_http_await_module);
  if (core_conf(loc_conf)->noname && outer.resources != nullptr) {
    if (location->resources == nullptr)
      return directive_error(
          cf, location->content_at,
          "cannot be used in a block of a location with \"await\", which handles all methods");
    inner.resources = static_cast<Resource *>(ngx_palloc(cf->pool, outer.count * sizeof(Resource)));
    if (inner.resources == nullptr)
      return static_cast<char *>(NGX_CONF_ERROR);
    std::copy_n(outer.resources, inner.count = outer.count, inner.resources);
  }
  for (ngx_uint_t i = 0; i < inner.count; ++i)
    inner.resources[i].loc_conf = make_resource(cf, loc_conf, inner.resources[i]);
  return NGX_CONF_OK;
}

ngx_int_t preconfigure(ngx_conf_t *cf) {
  ngx_str_t name = ngx_string("await_path_id");
  ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
  if (variable == nullptr)
    return NGX_ERROR;
  variable->get_handler = get_id;
  return NGX_OK;
}

ngx_int_t postconfigure(ngx_conf_t *cf) {
  auto *main =
      static_cast<ResourcesMain *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_resources_module));
  return main->used == 0 ? NGX_OK : add_phase_handler(cf, NGX_HTTP_PREACCESS_PHASE, select_resource);
}

ngx_http_module_t context = {preconfigure, postconfigure, create_main,     nullptr,
                             nullptr,      nullptr,       create_location, merge_location};

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_resources_module =
    await::http::plain_module(&await::http::context, await::http::commands);
