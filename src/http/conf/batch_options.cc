#include "http/conf/batch_options.h"

#include <algorithm>
#include <span>
#include <string>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/formats.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr ngx_uint_t kMostQueues = 64;
constexpr ngx_uint_t kMostPhases = 16;  // as await.insert_batch()

constexpr char kRule[] =
    "it must be an id, or one of queues=, phases=, on_ready=, options=, file=, type=, params=, priority=, "
    "delay=, lease=, max_attempts=, deadline=, retain=, max_pending=, max_pending_per_owner=, "
    "webhook=, webhook_on=, format= and "
    "default=json|text";

std::span<ngx_str_t> words_of(const ngx_array_t *list) {
  return {static_cast<ngx_str_t *>(list->elts), list->nelts};
}

/// A list of names, each once. Null, or what is wrong.
const char *parse_names(ngx_conf_t *cf, std::string_view value, ngx_uint_t most, ngx_array_t **out) {
  *out = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
  if (*out == nullptr)
    return "there is no memory";
  do {
    std::string_view name = trim(cut(value, ','));
    if (!is_queue_name(name))
      return "each name must be 1 to 64 characters of A-Z a-z 0-9 _ . -";
    if (is_listed(*out, name))
      return "a name is given twice";
    auto *added = static_cast<ngx_str_t *>(ngx_array_push(*out));
    if (added == nullptr)
      return "there is no memory";
    *added = ngx::borrow(name);
  } while (!value.empty());
  return (*out)->nelts > most ? "there are too many names" : nullptr;
}

const char *parse_allowed(std::string_view value, BatchConf &conf) {
  do {
    wire::BatchOptions one = wire::batch_option(trim(cut(value, ',')));
    if (one == 0 || (conf.allowed & one) != 0)
      return "it must be a list of priority, delay, deadline, lease and max_attempts, each once";
    conf.allowed |= one;
  } while (!value.empty());
  return nullptr;
}

/// Null, or what is wrong.
const char *parse_option(ngx_conf_t *cf, std::string_view name, std::string_view value, BatchConf &conf) {
  if (name == "queues")
    return parse_names(cf, value, kMostQueues, &conf.queues);
  if (name == "phases")
    return parse_names(cf, value, kMostPhases, &conf.phases);
  if (name == "options")
    return parse_allowed(value, conf);
  if (name == "on_ready") {
    conf.on_ready = ngx::borrow(value);
    return is_queue_name(value) ? nullptr : "a queue name must be 1 to 64 characters of A-Z a-z 0-9 _ . -";
  }
  if (name == "batch" || name == "phase")
    return kRule;
  return parse_job_option(cf, name, value, conf.jobs).value_or(kRule);
}

/// The options that make no sense without the others. Null, or what is wrong.
const char *check_use(const BatchConf &conf, const BatchUse &use, std::string_view option) {
  if (!option.empty() && !use.submits)
    return "it requires \"queues=\", only then are batches submitted here";
  if (conf.jobs.webhook.types != nullptr && conf.jobs.webhook.url == nullptr)
    return "it requires \"webhook=\", the URL that gets the events";
  if (use.submits && conf.jobs.params != nullptr && conf.jobs.file.len == 0)
    return "it requires \"file=\", only then are forms parsed";
  if (use.submits && conf.jobs.deadline_ms > 0 && conf.jobs.deadline_ms <= conf.jobs.delay_ms)
    return "it must be longer than \"delay=\", the batch would expire before its jobs can be claimed";
  return nullptr;
}

/// Queues are created when the nginx worker starts.
bool note_lanes(ngx_conf_t *cf, const BatchConf &conf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  if (main->lanes == nullptr)
    main->lanes = ngx_array_create(cf->pool, 4, sizeof(LaneName));
  for (const ngx_str_t &queue : words_of(conf.queues)) {
    auto *lane = main->lanes == nullptr ? nullptr : static_cast<LaneName *>(ngx_array_push(main->lanes));
    if (lane == nullptr)
      return false;
    *lane = {queue, conf.jobs.priority};
  }
  return true;
}

}  // namespace

bool is_listed(const ngx_array_t *list, std::string_view word) {
  auto words = words_of(list);
  return std::any_of(words.begin(), words.end(),
                     [&](const ngx_str_t &one) { return ngx::view(one) == word; });
}

std::optional<BatchUse> parse_batch_options(ngx_conf_t *cf, LocationConf &location, BatchConf &conf) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  BatchUse use;
  std::string_view option;  // of a batch that is submitted
  conf.given = 1;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    std::string_view value = word;
    std::string_view name = cut(value, '=');
    char *rc = NGX_CONF_OK;
    if (take_format(cf, word, "format", &location.batch_document, &rc)) {
      if (rc != NGX_CONF_OK)
        return std::nullopt;
    } else if (word == "default=text" || word == "default=json") {
      conf.text_first = word == "default=text" ? 1 : 0;
    } else if (i == 1 && word.find('=') == word.npos) {
      if (compile_id(cf, words[i], &conf.id, "batch") != NGX_CONF_OK)
        return std::nullopt;
      use.reads = true;
    } else {
      if (const char *why = parse_option(cf, name, value, conf)) {
        invalid_parameter(cf, word, why);
        return std::nullopt;
      }
      if (name == "max_pending_per_owner")
        location.owner_quota_at = place_of(cf);
      if (conf.jobs.webhook.limited == 1)
        location.webhook_at = place_of(cf);
      use.submits = use.submits || name == "queues";
      option = name == "queues" ? option : name;
    }
  }
  if (const char *why = check_use(conf, use, option)) {
    invalid_parameter(cf, std::string(option) + "=", why);
    return std::nullopt;
  }
  if (!use.reads && !use.submits) {
    config_error(cf, "await_batch", "directive requires the id of a batch or \"queues=\"");
    return std::nullopt;
  }
  return !use.submits || note_lanes(cf, conf) ? std::optional(use) : std::nullopt;
}

}  // namespace await::http
