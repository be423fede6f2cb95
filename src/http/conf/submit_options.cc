#include "http/conf/submit_options.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/conf/formats.h"
#include "http/conf/settings.h"
#include "ngx/str.h"
#include "wire/headers.h"

namespace await::http {
namespace {

/// A comma-separated list.
ngx_array_t *split(ngx_conf_t *cf, std::string_view text) {
  ngx_array_t *list = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
  while (!text.empty())
    *static_cast<ngx_str_t *>(ngx_array_push(list)) = ngx::borrow(trim(cut(text, ',')));
  return list;
}

bool listed(const ngx_array_t *list, std::string_view word) {
  auto *items = static_cast<ngx_str_t *>(list->elts);
  return std::any_of(items, items + list->nelts,
                     [&](const ngx_str_t &item) { return iequals(ngx::view(item), word); });
}

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kDay = 24 * 3600 * kSecond;

/// The bounds of an option's time, in milliseconds.
struct TimeOption {
  std::string_view name;
  std::int64_t SubmitOptions::*field;
  std::int64_t least;
  std::int64_t most;
  const char *rule;
};

constexpr TimeOption kTimes[] = {
    {"lease", &SubmitOptions::lease_ms, kSecond, kDay, "it must be a time between 1s and 1d"},
    {"delay", &SubmitOptions::delay_ms, 1, 365 * kDay, "it must be a time between 1ms and 365d"},
    {"deadline", &SubmitOptions::deadline_ms, kSecond, 3650 * kDay, "it must be a time between 1s and 3650d"},
};

constexpr char kRule[] =
    "it must be one of file=, type=, params=, priority=, delay=, lease=, max_attempts=, deadline=, retain=, "
    "max_pending=, max_pending_per_owner=, batch=, phase=, webhook=, webhook_on= and format=";

/// Null, or what is wrong with the value of batch= or phase=.
const char *check_batch_option(std::string_view name, std::string_view value) {
  if (name == "phase")
    return is_queue_name(sample(value, "p")) ? nullptr
                                             : "a phase must be 1 to 64 characters of A-Z a-z 0-9 _ . -";
  return value.find('$') != value.npos ? nullptr
                                       : "the id of a batch must be a variable, such as \"$arg_batch\"";
}

/// A time of nginx's in milliseconds; nothing if it is none, or out of the bounds.
std::optional<std::int64_t> parse_time(std::string_view text, std::int64_t least, std::int64_t most) {
  ngx_str_t value = ngx::borrow(text);
  ngx_int_t ms = ngx_parse_time(&value, 0);
  if (ms == NGX_ERROR || ms < least || ms > most)
    return std::nullopt;
  return ms;
}

const char *parse_retention(std::string_view value, SubmitOptions &options) {
  if (value == "keep") {
    options.retention = 3;
    return nullptr;
  }
  auto ms = parse_time(value, 1, 90 * kDay);
  if (!ms)
    return "it must be a time of no more than 90d, or \"keep\"";
  options.retention = *ms <= kDay ? 0 : *ms <= 7 * kDay ? 1 : 2;  // the classes of table await.retention
  return nullptr;
}

/// Media types, or all of a kind such as image/*.
const char *parse_types(ngx_conf_t *cf, std::string_view value, SubmitOptions &options) {
  options.types = split(cf, value);
  auto *types = static_cast<ngx_str_t *>(options.types->elts);
  bool good =
      options.types->nelts > 0 && std::all_of(types, types + options.types->nelts, [](const ngx_str_t &type) {
        std::string_view minor = ngx::view(type);
        std::string_view major = cut(minor, '/');
        return is_token(major) && major != "*" && is_token(minor);
      });
  return good ? nullptr : "it must be a list of media types such as \"image/*,text/plain\"";
}

}  // namespace

std::optional<const char *> parse_job_option(ngx_conf_t *cf, std::string_view name, std::string_view value,
                                             SubmitOptions &options) {
  for (const TimeOption &time : kTimes) {
    if (name == time.name) {
      auto ms = parse_time(value, time.least, time.most);
      options.*time.field = ms.value_or(0);
      return ms ? nullptr : time.rule;
    }
  }
  if (name == "file") {
    options.file = ngx::borrow(value);
    return value.empty() ? "it must name a form field" : nullptr;
  }
  if (name == "type")
    return parse_types(cf, value, options);
  if (name == "params") {
    options.params = split(cf, value);
    return nullptr;
  }
  if (name == "priority") {
    bool low = value.starts_with('-');
    auto number = parse_number(low ? value.substr(1) : value, 100);
    options.priority = static_cast<ngx_int_t>(number.value_or(0) * (low ? -1 : 1));
    return number ? nullptr : "it must be a number between -100 and 100";
  }
  if (name == "max_attempts") {
    options.max_attempts = static_cast<ngx_int_t>(parse_number(value, 1000).value_or(0));
    return options.max_attempts > 0 ? nullptr : "it must be a number between 1 and 1000";
  }
  for (auto [option, field] : {std::pair{"max_pending", &SubmitOptions::max_pending},
                               std::pair{"max_pending_per_owner", &SubmitOptions::max_pending_per_owner}}) {
    if (name != option)
      continue;
    options.*field = static_cast<ngx_int_t>(parse_number(value, 1'000'000).value_or(0));
    return options.*field > 0 ? nullptr : "it must be a number between 1 and 1000000";
  }
  if (name == "retain")
    return parse_retention(value, options);
  return parse_webhook_option(cf, name, value, options.webhook);
}

bool is_queue_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' ||
           c == '-';
  });
}

char *parse_submit_options(ngx_conf_t *cf, LocationConf &location, SubmitOptions &options) {
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  options.retention = 1;
  if (!compile(cf, words[1], &options.queue))
    return static_cast<char *>(NGX_CONF_ERROR);
  if (!is_queue_name(sample(ngx::view(words[1]), "q")))
    return invalid_value(cf, ngx::view(words[1]),
                         "a queue name must be 1 to 64 characters of A-Z a-z 0-9 _ . -");
  for (ngx_uint_t i = 2; i < cf->args->nelts; ++i) {
    std::string_view value = ngx::view(words[i]);
    std::string_view name = cut(value, '=');
    char *rc = NGX_CONF_OK;
    if (take_format(cf, ngx::view(words[i]), "format", &location.submitted, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
      continue;
    }
    if (name == "batch" || name == "phase") {
      if (!compile(cf, ngx::borrow(value), name == "batch" ? &options.batch : &options.phase))
        return static_cast<char *>(NGX_CONF_ERROR);
      if (const char *why = check_batch_option(name, value))
        return invalid_parameter(cf, ngx::view(words[i]), why);
      continue;
    }
    if (const char *why = parse_job_option(cf, name, value, options).value_or(kRule))
      return invalid_parameter(cf, ngx::view(words[i]), why);
    if (name == "max_pending_per_owner")
      location.owner_quota_at = place_of(cf);
    if (name == "file")
      location.form_at = place_of(cf);
    if (options.webhook.limited == 1)
      location.webhook_at = place_of(cf);
  }
  if (options.deadline_ms > 0 && options.deadline_ms <= options.delay_ms)
    return invalid_parameter(cf, "deadline=",
                             "it must be longer than \"delay=\", the job would expire before it "
                             "can be claimed");
  if (options.phase != nullptr && options.batch == nullptr)
    return invalid_parameter(cf, "phase=", "it requires \"batch=\", only a batch has phases");
  if (options.webhook.types != nullptr && options.webhook.url == nullptr)
    return invalid_parameter(cf, "webhook_on=", "it requires \"webhook=\", the URL that gets the events");
  if (options.params != nullptr && options.file.len == 0)
    return invalid_parameter(cf, "params=", "it requires \"file=\", only then are forms parsed");
  return NGX_CONF_OK;
}

core::PendingLimits pending_limits(const SubmitOptions &options) {
  auto limit = [](ngx_int_t most) { return most > 0 ? std::optional(static_cast<int>(most)) : std::nullopt; };
  return {limit(options.max_pending), limit(options.max_pending_per_owner)};
}

void apply(const SubmitOptions &options, core::NewJob &job) {
  job.priority = static_cast<int>(options.priority);
  if (options.max_attempts > 0)
    job.max_attempts = static_cast<int>(options.max_attempts);
  job.limits = pending_limits(options);
  auto set = [](std::int64_t ms, std::optional<std::int64_t> &field) {
    if (ms > 0)
      field = ms;
  };
  set(options.lease_ms, job.lease_ms);
  set(options.delay_ms, job.delay_ms);
  set(options.deadline_ms, job.deadline_ms);
}

bool is_taken(const SubmitOptions &options, std::string_view media_type) {
  if (options.types == nullptr)
    return true;
  std::string type = wire::essence(media_type);
  return listed(options.types, type) || listed(options.types, type.substr(0, type.find('/')) + "/*");
}

bool is_param(const SubmitOptions &options, std::string_view name) {
  return options.params == nullptr || listed(options.params, name);
}

}  // namespace await::http
