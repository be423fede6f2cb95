// ngx_http_await_ticket_module: POST issues a ticket, for a client that cannot send headers: a browser's
// EventSource or WebSocket.

#include <jansson.h>

#include <algorithm>

#include "base/text.h"
#include "http/conf/action.h"
#include "http/exchange/channels.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/small_body.h"
#include "http/modules/dispatch.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"
#include "wire/json_writer.h"
#include "wire/ticket.h"

extern ngx_module_t ngx_http_await_ticket_module;

namespace await::http {
namespace {

constexpr std::size_t kMostBody = 16384;
constexpr std::size_t kMostChannels = 100;

struct TicketConf {
  ngx_array_t *channels;  // of ngx_http_complex_value_t
  time_t ttl;             // seconds
};

/// Reads the channels that a body names: `{"channels": […]}`. It may name none.
/// @return what is wrong with the body; null if nothing is
const char *parse_body(std::string_view body, std::vector<std::string> &channels) {
  if (trim(body).empty())
    return nullptr;
  std::unique_ptr<json_t, void (*)(json_t *)> root(
      json_loadb(body.data(), body.size(), JSON_REJECT_DUPLICATES, nullptr), json_decref);
  const json_t *list = json_object_get(root.get(), "channels");
  if (!json_is_object(root.get()) || (list != nullptr && !json_is_array(list)))
    return "The body must be a JSON object with an array \"channels\".";
  if (list == nullptr)
    return nullptr;
  for (std::size_t i = 0; i < json_array_size(list); ++i) {
    const json_t *one = json_array_get(list, i);
    if (!json_is_string(one))
      return "Each channel must be a string such as \"topic:news\".";
    channels.emplace_back(json_string_value(one), json_string_length(one));
  }
  if (channels.empty() || channels.size() > kMostChannels)
    return "A ticket must name 1 to 100 channels.";
  return nullptr;
}

/// Reads the body, and answers with a ticket.
class TicketRequest : public SmallBody {
 public:
  TicketRequest(ngx_http_request_t *r, Runtime &runtime, const TicketConf &conf)
      : SmallBody(r, runtime, kMostBody, {413, "The request body exceeds 16 KB."}), conf_(conf) {
    register_held();
  }

 private:
  void on_body() override {
    std::vector<std::string> asked;
    if (const char *why = parse_body(body(), asked)) {
      refuse({400, why});
      return;
    }
    std::vector<std::string> offered;
    auto *words = static_cast<ngx_http_complex_value_t *>(conf_.channels->elts);
    for (ngx_uint_t i = 0; i < conf_.channels->nelts; ++i)
      offered.emplace_back(ngx::evaluate(r_, &words[i]));
    auto granted = asked.empty() ? offered : std::move(asked);
    bool all = !granted.empty() && std::all_of(granted.begin(), granted.end(), [&](const std::string &name) {
      return may_have(name, offered);
    });
    if (!all) {
      refuse({403, "This resource does not issue tickets for one of these channels."});
      return;
    }
    channels_ = std::move(granted);
    if (runtime_.keys().current().empty())
      runtime_.backends().wait_for_greeting(waiter_);
    else
      issue();
  }

  /// The channels that the directive names. If it names none: the topics that await_allow allows, and the
  /// channel of the user.
  bool may_have(const std::string &name, const std::vector<std::string> &offered) const {
    // no ticket limits it: a client with a ticket cannot get another one (modules/dispatch)
    ChannelClient client{location_conf(r_), owner_of(r_)};
    auto channel = authorized_channel(client, name, offered.empty() ? NamedBy::client : NamedBy::location);
    if (!channel)
      return false;
    if (offered.empty())
      return !core::ends(channel->kind());
    return std::find(offered.begin(), offered.end(), name) != offered.end();
  }

  void on_greeting(Done) { issue(); }

  void issue() {
    wire::Ticket ticket;
    ticket.id = runtime_.backends().new_id(0);
    ticket.timeline = runtime_.backends().timeline();
    ticket.owner = owner_of(r_).value_or("");
    ticket.channels = std::move(channels_);
    ticket.issued_ms = runtime_.backends().database_ms();
    ticket.until_ms = ticket.issued_ms + conf_.ttl * 1000;
    ticket.session_s = request_info(r_).expires_s;
    std::string text = wire::seal(ticket, runtime_.keys().current());
    if (text.empty()) {
      finish(send_unavailable(r_, "The database is not connected yet; retry later."));
      return;
    }
    runtime_.counters().count(Counter::tickets);
    wire::JsonWriter out;
    out.text("ticket", text);
    out.number("expires_in", conf_.ttl);
    add_header(r_, "Cache-Control", "no-store");
    finish(send(r_, 200, "application/json", out.take()));
  }

  void cancel_waits() override { waiter_.unlink(); }

  const TicketConf &conf_;
  std::vector<std::string> channels_;  // the channels of the ticket
  GreetingWaiter waiter_{core::Callback<Done>::to<&TicketRequest::on_greeting>(this)};
};

Answer give_ticket(ngx_http_request_t *r, Runtime &runtime) {
  if (auto refusal = Receiver::check_room(r, runtime))
    return *refusal;
  request_info(r).delivery = "ticket";
  return ngx::Held::make<TicketRequest>(
             r, runtime,
             *static_cast<TicketConf *>(ngx_http_get_module_loc_conf(r, ngx_http_await_ticket_module)))
      ->receive();
}

char *set_ticket(ngx_conf_t *cf, ngx_command_t *, void *data) {
  auto *conf = static_cast<TicketConf *>(data);
  auto *words = static_cast<ngx_str_t *>(cf->args->elts);
  if (add_action(cf, &LocationConf::ticket, give_ticket) == nullptr)
    return static_cast<char *>(NGX_CONF_ERROR);
  conf->channels = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_http_complex_value_t));
  conf->ttl = 30;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    std::string_view word = ngx::view(words[i]);
    if (word.starts_with("ttl=")) {
      ngx_str_t text = ngx::borrow(word.substr(4));
      conf->ttl = ngx_parse_time(&text, 1);
      if (conf->ttl == NGX_ERROR || conf->ttl < 1 || conf->ttl > 3600)
        return invalid_parameter(cf, word, "it must be between 1s and 1h");
      continue;
    }
    if (!is_channel(word))
      return invalid_parameter(
          cf, word, "it must be a channel (job:$id, topic:<name>, user:<name> or a variable) or ttl=");
    if (!add_channel(cf, words[i], conf->channels))
      return static_cast<char *>(NGX_CONF_ERROR);
  }
  return NGX_CONF_OK;
}

// clang-format off
ngx_command_t commands[] = {
    {ngx_string("await_ticket"), NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF | NGX_CONF_ANY, set_ticket, NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};
// clang-format on

ngx_http_module_t context = action_context<TicketConf, &TicketConf::channels>();

}  // namespace
}  // namespace await::http

ngx_module_t ngx_http_await_ticket_module =
    await::http::plain_module(&await::http::context, await::http::commands);
