// ngx_http_await_socket_module: everything a client watches, on one WebSocket.

#include "base/text.h"
#include "http/conf/action.h"
#include "http/conf/formats.h"
#include "http/exchange/channels.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/live/job_wait.h"
#include "http/live/websocket.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"

extern ngx_module_t ngx_http_await_socket_module;

namespace await::http {
namespace {

constexpr std::string_view kSubprotocol = "await.v1";

struct SocketConf {
  ngx_array_t
      *channels;  // of ngx_http_complex_value_t: the channels that every socket watches from the start
  ngx_uint_t plain;
  ngx_uint_t thin;
  const wire::Format *event;            // null: as docs/http.md has it
  const wire::EventEncoding *encoding;  // made at first use
};

SocketConf &socket_conf(ngx_http_request_t *r) {
  return *static_cast<SocketConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_socket_module));
}

Answer ask_for_upgrade(ngx_http_request_t *r, std::string_view detail) {
  if (r == r->main && r->http_version < NGX_HTTP_VERSION_20) {
    // fields of a connection (RFC 9110 §7.8), which HTTP/2 has none of (RFC 9113 §8.2.2)
    add_header(r, "Upgrade", "websocket");
    add_header(r, "Connection", "upgrade");
  }
  add_header(r, "Sec-WebSocket-Version", "13");
  return send_problem(r, 426, detail);
}

Answer open_socket(ngx_http_request_t *r, Runtime &runtime) {
  SocketConf &conf = socket_conf(r);
  if (!(r->method & NGX_HTTP_GET) || !asks_for_websocket(r))
    return ask_for_upgrade(r,
                           "This resource is a WebSocket; connect with HTTP/1.1 and \"Upgrade: websocket\".");
  if (header(r, "sec-websocket-version") != "13")
    return ask_for_upgrade(r, "This resource supports WebSocket version 13 only.");
  std::string key = header(r, "sec-websocket-key");
  if (!wire::is_websocket_key(key))
    return send_problem(r, 400, "The Sec-WebSocket-Key must be 16 bytes encoded in base64.");
  std::string offered = header(r, "sec-websocket-protocol");
  bool ours = lists(offered, kSubprotocol);
  // a browser fails a connection for which it has offered subprotocols and got none (RFC 6455 §4.1)
  if (!ours && !trim(offered).empty())
    return send_problem(r, 400,
                        "This resource supports the subprotocol await.v1; offer it, or no subprotocol.");
  bool room = runtime.counters().of(Gauge::sockets) < location_conf(r).max_held;
  if (!room || !has_room(location_conf(r), runtime)) {
    if (!room)
      runtime.counters().count(Counter::refused_held);
    return send_unavailable(r, "Too many requests are waiting on this server; retry later.");
  }
  if (runtime.lifecycle().draining())
    return send_unavailable(r, "The server is restarting; retry later.");
  request_info(r).delivery = "socket";
  auto *channels = static_cast<ngx_http_complex_value_t *>(conf.channels->elts);
  std::vector<std::string> names;
  for (ngx_uint_t i = 0; i < conf.channels->nelts; ++i) {
    auto channel = channel_of(r, &channels[i]);
    if (!channel)
      return send_problem(r, 404, "There is no such channel.");
    names.push_back(std::move(*channel));
  }
  std::string cursor = argument(r, "cursor").value_or("");
  if (conf.encoding == nullptr)
    conf.encoding = make_shape(r, conf.event, conf.thin == 1);
  auto *socket = ngx::Held::make<WebSocket>(
      r, runtime, SocketOptions{conf.encoding, conf.plain == 1, argument(r, "beat").value_or("") == "1"});
  return socket->start(key, ours, names, cursor);
}

char *set_socket(ngx_conf_t *cf, ngx_command_t *, void *conf) {
  auto *socket = static_cast<SocketConf *>(conf);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &LocationConf::socket, open_socket) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  socket->channels = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_http_complex_value_t));
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    char *rc = NGX_CONF_OK;
    if (word == "plain" || word == "thin") {
      (word == "plain" ? socket->plain : socket->thin) = 1;
      continue;
    }
    if (take_format(cf, word, "event", &socket->event, &rc)) {
      if (rc != NGX_CONF_OK)
        return rc;
      continue;
    }
    if (!is_channel(word))
      return invalid_parameter(
          cf, word,
          "it must be a channel (job:$id, batch:$id, topic:<name>, user:<name> or a variable) or one of "
          "plain, thin and event=");
    if (!add_channel(cf, words[i], socket->channels))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  if (socket->plain == 1 && socket->channels->nelts == 0)
    return invalid_parameter(cf, "plain",
                             "it requires a channel, because clients of plain sockets cannot subscribe");
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_socket"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_socket, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<SocketConf, &SocketConf::channels>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_socket_module =
    await::http::plain_module(&await::http::context, await::http::commands);
