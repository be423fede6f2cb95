#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace await::wire {

/// The URL of a webhook, taken apart.
struct WebhookUrl {
  bool tls = true;
  std::string host;  ///< in lower case; an IPv6 address is in brackets
  int port = 443;
};

/// Whether it is a URL as clients encode it in an argument: `https%3A…`, which is no URL itself.
bool is_encoded_url(std::string_view text);
/// Decodes %XX, once; what is no such triple stays.
std::string decode_url(std::string_view text);

/// Takes a URL apart: http or https, a host, and no user name or fragment, at most 2000 characters of ASCII.
/// Empty if it is none. await.check_webhook() has the same rules.
std::optional<WebhookUrl> parse_webhook_url(std::string_view url);

/// Whether `pattern` is one of await_webhook_hosts: `[http://|https://]host[:port]`, where the host may be
/// "*.domain" for all hosts below a domain, or "*".
bool is_webhook_host(std::string_view pattern);
/// Whether a URL is one of those that the pattern stands for: of the scheme, https if it names none; and of
/// the port, the default of the scheme if it names none.
bool fits_webhook_host(const WebhookUrl &url, std::string_view pattern);

/// Whether events of this type may be asked for: 1 to 64 of a-z 0-9 _ . -, or "*".
bool is_webhook_type(std::string_view type);

/// What the database has of the webhook of a job: JSON text.
/// @param types  empty: the ending
std::string webhook_json(std::string_view url, std::span<const std::string> types);

}  // namespace await::wire
