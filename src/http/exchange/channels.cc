#include "http/exchange/channels.h"

#include <algorithm>

#include "http/conf/conf.h"
#include "http/exchange/request_info.h"
#include "ngx/str.h"

namespace await::http {

char *set_allow(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->allow != nullptr)
    return const_cast<char *>("is duplicate");
  location->allow = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    if (!ngx::view(words[i]).starts_with("topic:"))
      return invalid_value(
          cf, ngx::view(words[i]),
          "it must be a topic pattern such as \"topic:news.*\" (jobs and users need no pattern)");
    *static_cast<ngx_str_t *>(ngx_array_push(location->allow)) = words[i];
  }
  return NGX_CONF_OK;
}

bool is_allowed(const LocationConf &location, std::string_view channel) {
  if (location.allow == nullptr)
    return false;
  auto *patterns = static_cast<ngx_str_t *>(location.allow->elts);
  return std::any_of(patterns, patterns + location.allow->nelts,
                     [&](const ngx_str_t &one) { return wire::matches(ngx::view(one), channel); });
}

bool is_channel(std::string_view word) {
  for (std::string_view kind : {"topic:", "user:"}) {
    if (word.starts_with(kind))
      return word.find('$') != word.npos || wire::parse_channel(word).has_value();
  }
  return word.starts_with("job:") || (word.starts_with('$') && word.size() > 1);
}

bool add_channel(ngx_conf_t *cf, ngx_str_t word, ngx_array_t *channels) {
  ngx_http_complex_value_t *value = nullptr;
  auto *added = static_cast<ngx_http_complex_value_t *>(ngx_array_push(channels));
  if (added == nullptr || !compile(cf, word, &value))
    return false;
  *added = *value;
  return true;
}

std::optional<std::string> channel_of(ngx_http_request_t *r, ngx_http_complex_value_t *word) {
  std::string channel(ngx::evaluate(r, word));
  bool named_by_client = ngx::view(word->value).starts_with('$');
  if (named_by_client && channel.starts_with("topic:") && !is_allowed(location_conf(r), channel))
    return std::nullopt;
  return channel;
}

bool is_admitted(const std::vector<std::string> *only, std::string_view channel) {
  if (only == nullptr)
    return true;
  auto what = wire::parse_channel(channel);  // a job's id has more than one spelling
  return what && std::any_of(only->begin(), only->end(), [&](const std::string &one) {
           auto named = wire::parse_channel(one);
           return named && named->id == what->id && named->name == what->name;
         });
}

bool is_admitted(ngx_http_request_t *r, std::string_view channel) {
  const RequestInfo *known = find_request_info(r);
  return known == nullptr || !known->ticket_channels || is_admitted(&*known->ticket_channels, channel);
}

bool is_theirs(const wire::Channel &channel, std::optional<std::string_view> owner) {
  return channel.kind() != core::Kind::user || (owner && *owner == channel.name);
}

}  // namespace await::http
