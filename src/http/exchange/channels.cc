#include "http/exchange/channels.h"

#include <algorithm>

#include "http/conf/conf.h"
#include "http/conf/settings.h"
#include "http/exchange/request_info.h"
#include "ngx/str.h"

namespace await::http {

char *set_allow(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *location = static_cast<LocationConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (location->allow != nullptr)
    return const_cast<char *>("is duplicate");
  if (char *twice = refuse_twice(cf, 1); twice != NGX_CONF_OK)
    return twice;
  location->allow = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    if (word == "batch:*")
      continue;  // a batch has an owner, who may watch it in any case
    std::string name(word.substr(std::min(word.find(':') + 1, word.size())));
    std::replace(name.begin(), name.end(), '*', '_');
    if (!word.starts_with("topic:") || !wire::is_topic_name(name))
      return invalid_value(
          cf, word,
          "it must be a topic pattern such as \"topic:news.*\" (jobs, batches and users need no pattern)");
    *static_cast<ngx_str_t *>(ngx_array_push(location->allow)) = words[i];
  }
  return NGX_CONF_OK;
}

bool is_channel(std::string_view word) {
  for (std::string_view kind : {"topic:", "user:"}) {
    if (word.starts_with(kind))
      return wire::parse_channel(sample(word, "x")).has_value();
  }
  // a constant job is a mistake: no job is there for ever
  return ((word.starts_with("job:") || word.starts_with("batch:")) && word.find('$') != word.npos) ||
         (word.starts_with('$') && word.size() > 1);
}

bool add_channel(ngx_conf_t *cf, ngx_str_t word, ngx_array_t *channels) {
  ngx_http_complex_value_t *value = nullptr;
  auto *added = static_cast<ngx_http_complex_value_t *>(ngx_array_push(channels));
  auto *location = static_cast<LocationConf *>(ngx_http_conf_get_module_loc_conf(cf, ngx_http_await_module));
  if (ngx::view(word).starts_with("user:"))
    location->user_channel_at = place_of(cf);
  if (added == nullptr || !compile(cf, word, &value))
    return false;
  *added = *value;
  return true;
}

namespace {

/// Whether await_allow lets clients name this topic.
bool is_allowed(const LocationConf &location, std::string_view topic) {
  if (location.allow == nullptr)
    return false;
  auto *patterns = static_cast<ngx_str_t *>(location.allow->elts);
  return std::any_of(patterns, patterns + location.allow->nelts,
                     [&](const ngx_str_t &pattern) { return wire::matches(ngx::view(pattern), topic); });
}

bool may_name(const LocationConf &location, std::string_view name, NamedBy by) {
  return by == NamedBy::location || !name.starts_with("topic:") || is_allowed(location, name);
}

/// @param ticket  the channels of the client's ticket; null: it has none
bool is_admitted(const std::vector<std::string> *ticket, const wire::Channel &channel) {
  auto is_this = [&](const std::string &name) {
    auto admitted = wire::parse_channel(name);  // a job's id has more than one spelling
    return admitted && admitted->id == channel.id && admitted->name == channel.name;
  };
  return ticket == nullptr || std::any_of(ticket->begin(), ticket->end(), is_this);
}

}  // namespace

std::optional<std::string> channel_of(ngx_http_request_t *r, ngx_http_complex_value_t *word) {
  std::string name(ngx::evaluate(r, word));
  NamedBy by = ngx::view(word->value).starts_with('$') ? NamedBy::client : NamedBy::location;
  return may_name(location_conf(r), name, by) ? std::optional(std::move(name)) : std::nullopt;
}

ChannelClient channel_client(ngx_http_request_t *r) {
  const RequestInfo *info = find_request_info(r);
  bool has_ticket = info != nullptr && info->ticket_channels;
  return {location_conf(r), owner_of(r), has_ticket ? &*info->ticket_channels : nullptr};
}

std::optional<wire::Channel> authorized_channel(const ChannelClient &client, std::string_view name,
                                                NamedBy by) {
  auto channel = wire::parse_channel(name);
  if (!channel || !may_name(client.location, name, by) || !is_admitted(client.ticket, *channel))
    return std::nullopt;
  bool others = channel->kind() == core::Kind::user && client.owner != channel->name;
  return others ? std::nullopt : channel;
}

bool is_admitted(ngx_http_request_t *r, std::string_view name) {
  const auto *ticket = channel_client(r).ticket;
  auto channel = ticket != nullptr ? wire::parse_channel(name) : std::nullopt;
  return ticket == nullptr || (channel && is_admitted(ticket, *channel));
}

}  // namespace await::http
