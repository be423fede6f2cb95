#include "http/exchange/webhook.h"

#include <algorithm>
#include <vector>

#include "http/conf/conf.h"
#include "ngx/str.h"
#include "wire/webhook_target.h"

namespace await::http {
namespace {

bool is_allowed(const wire::WebhookUrl &url, const ngx_array_t *hosts) {
  if (hosts == nullptr)
    return false;
  auto *items = static_cast<ngx_str_t *>(hosts->elts);
  return std::any_of(items, items + hosts->nelts,
                     [&](const ngx_str_t &host) { return wire::fits_webhook_host(url, ngx::view(host)); });
}

}  // namespace

OrAnswer<std::optional<std::string>> read_webhook(ngx_http_request_t *r, const WebhookOptions &options) {
  if (options.url == nullptr)
    return std::optional<std::string>();
  std::string decoded;
  std::string_view text = ngx::evaluate(r, options.url);
  if (wire::is_encoded_url(text))
    text = decoded = wire::decode_url(text);
  if (text.empty())
    return std::optional<std::string>();
  auto url = wire::parse_webhook_url(text);
  if (!url)
    return send_problem(
        r, 400,
        "The URL of the webhook is invalid; use https://host/path of at most 2000 characters, without a user "
        "name or a fragment.");
  if (options.limited == 1 && !is_allowed(*url, location_conf(r).webhook_hosts))
    return send_problem(r, 403, "Webhooks cannot be sent to the host of this URL.");
  std::vector<std::string> types;
  if (options.types != nullptr) {
    auto *items = static_cast<ngx_str_t *>(options.types->elts);
    for (ngx_uint_t i = 0; i < options.types->nelts; ++i)
      types.emplace_back(ngx::view(items[i]));
  }
  return std::optional(wire::webhook_json(text, types));
}

}  // namespace await::http
