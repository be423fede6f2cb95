// ngx_http_await_events_module: the events of channels, as a stream or as a page in JSON.

#include <algorithm>

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/exchange/channels.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "http/live/events_page.h"
#include "http/live/job_wait.h"
#include "http/live/sse_stream.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/sse.h"

extern ngx_module_t ngx_http_await_events_module;

namespace await::http {
namespace {

constexpr std::string_view kJob = "job:";
constexpr std::string_view kBatch = "batch:";
constexpr ngx_uint_t kMostChannels = 16;  // of one cursor

struct EventsConf {
  ngx_array_t *channels;  // of ngx_http_complex_value_t: job:<id>, batch:<id>, topic:<name>, user:<name>
  ngx_uint_t json_first;
  ngx_uint_t thin;
  ngx_uint_t linger;
  const wire::Format *event;  // null: as docs/http.md has them
  const wire::Format *page;
  const wire::EventEncoding *encoding;  // made at first use
};

EventsConf &events_conf(ngx_http_request_t *r) {
  return *static_cast<EventsConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_events_module));
}

const wire::EventEncoding &encoding_of(ngx_http_request_t *r) {
  EventsConf &conf = events_conf(r);
  if (conf.encoding == nullptr)
    conf.encoding = make_shape(r, conf.event, conf.thin == 1);
  return *conf.encoding;
}

/// The channels that a request watches, each once.
using Channels = std::vector<wire::Channel>;

/// The channel of this name. An answer if the client may not watch it.
/// @param tells_gone  whether a stream reports a job or batch that is no longer kept, instead of an error,
/// which
///   would stop EventSource for good
OrAnswer<wire::Channel> watched_channel(ngx_http_request_t *r, Runtime &runtime, std::string_view name,
                                        bool tells_gone) {
  bool batch = name.starts_with(kBatch);
  if (!batch && !name.starts_with(kJob)) {
    auto channel = authorized_channel(channel_client(r), name, NamedBy::location);  // see channel_of()
    if (!channel)
      return send_problem(r, 404, "There is no such channel.");
    return *channel;
  }
  if (!is_admitted(r, name))
    return send_problem(r, 404, "There is no such channel.");
  std::string_view text = name.substr(batch ? kBatch.size() : kJob.size());
  auto id = Uuid::parse(text);
  if (tells_gone && id && runtime.backends().past_retention(*id))
    return wire::Channel{*id, {}};
  auto known = addressed(r, runtime, text, batch ? core::Kind::batch : core::Kind::job);
  if (!known)
    return known.answer();
  return wire::Channel{*known, {}};
}

/// The channels that the request watches. An answer if the client may not watch one of them.
OrAnswer<Channels> watched_channels(ngx_http_request_t *r, Runtime &runtime, bool stream,
                                    const std::string &cursor) {
  const ngx_array_t &words = *events_conf(r).channels;
  bool tells_gone = stream && (words.nelts > 1 || !cursor.empty());
  Channels out;
  for (ngx_uint_t i = 0; i < words.nelts; ++i) {
    auto name = channel_of(r, &static_cast<ngx_http_complex_value_t *>(words.elts)[i]);
    if (!name)
      return send_problem(r, 404, "There is no such channel.");
    auto channel = watched_channel(r, runtime, *name, tells_gone);
    if (!channel)
      return channel.answer();
    bool twice = std::any_of(out.begin(), out.end(), [&](auto &one) { return one.id == channel->id; });
    if (!twice)
      out.push_back(std::move(*channel));
  }
  return out;
}

/// ?limit=: how many events a page may have.
OrAnswer<int> asked_limit(ngx_http_request_t *r) {
  auto asked = argument(r, "limit");
  if (!asked)
    return PageOptions::kMostEvents;
  auto number = parse_clipped(*asked, PageOptions::kMostEvents);
  if (number.value_or(0) == 0)
    return send_problem(r, 400, "The argument \"limit\" must be a number between 1 and 100.");
  return static_cast<int>(*number);
}

Answer get_page(ngx_http_request_t *r, Runtime &runtime, const Channels &channels,
                const std::string &cursor) {
  auto wait = asked_wait(r);
  if (!wait)
    return wait.answer();
  auto limit = asked_limit(r);
  if (!limit)
    return limit.answer();
  if (auto refusal = check_room(r, runtime, wait->ms > 0))
    return *refusal;
  request_info(r).delivery = "events";
  PageOptions options{cursor, *wait, *limit, events_conf(r).page};
  return ngx::Held::make<EventsPage>(r, runtime, channels, encoding_of(r), options)->start();
}

Answer get_events(ngx_http_request_t *r, Runtime &runtime) {
  bool json_first = events_conf(r).json_first == 1;
  constexpr std::string_view kStreamFirst[] = {"text/event-stream", "application/json"};
  constexpr std::string_view kJsonFirst[] = {"application/json", "text/event-stream"};
  int chosen = wire::choose(header(r, "accept"), json_first ? kJsonFirst : kStreamFirst);
  if (chosen < 0)
    return send_problem(r, 406, "Events are available as text/event-stream or application/json.");
  std::string cursor = own_header(r, "last-event-id");
  if (cursor.empty())
    cursor = argument(r, "cursor").value_or("");
  bool stream = (chosen == 0) != json_first;
  auto channels = watched_channels(r, runtime, stream, cursor);
  if (!channels)
    return channels.answer();
  if (!stream)
    return get_page(r, runtime, *channels, cursor);
  request_info(r).delivery = "sse";
  if (!has_room(location_conf(r), runtime) || runtime.lifecycle().draining() ||
      has_too_many_reads(location_conf(r), runtime)) {
    // any status but 200 would stop EventSource for good
    add_header(r, "Cache-Control", "no-store");
    return send(r, 200, "text/event-stream", wire::sse_retry(retry_ms(location_conf(r), runtime.random())));
  }
  StreamOptions options = stream_options(r, std::move(cursor));
  options.linger = events_conf(r).linger == 1;
  return ngx::Held::make<SseStream>(r, runtime, *channels, encoding_of(r), std::move(options))->start();
}

char *set_events(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *events = static_cast<EventsConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &LocationConf::events, get_events) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  events->channels = ngx_array_create(cf->pool, kMostChannels, sizeof(ngx_http_complex_value_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (is_channel(word)) {
      if (events->channels->nelts == kMostChannels)
        return invalid_parameter(cf, word, "there are too many channels, the maximum is 16");
      if (!add_channel(cf, words[i], events->channels))
        return static_cast<char *>(NGX_CONF_ERROR);
    } else if (word == "default=json")
      events->json_first = 1;
    else if (word == "thin")
      events->thin = 1;
    else if (word == "linger")
      events->linger = 1;
    else if (take_format(cf, word, "event", &events->event, &rc) ||
             take_format(cf, word, "format", &events->page, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
    } else if (word != "default=sse") {
      return invalid_parameter(
          cf, word,
          "it must be a channel (job:$id, batch:$id, topic:<name>, user:<name> or a variable) or one of "
          "default=sse|json, thin, linger, event= and format=");
    }
  }
  if (events->channels->nelts == 0)
    return config_error(cf, "await_events", "directive requires at least one channel");
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_events"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_1MORE, set_events, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<EventsConf, &EventsConf::channels>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_events_module =
    await::http::plain_module(&await::http::context, await::http::commands);
