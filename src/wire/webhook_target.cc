#include "wire/webhook_target.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "wire/json_list.h"

namespace await::wire {
namespace {

constexpr std::size_t kMaxUrl = 2000;

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

bool is_host(std::string_view host) {
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           host.substr(1, host.size() - 2).find_first_not_of("0123456789abcdef:.") == host.npos;
  }
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
}

/// The scheme, host and port of `authority`, in lower case.
std::optional<WebhookUrl> take_apart(bool tls, std::string_view authority) {
  WebhookUrl out{tls, std::string(authority), tls ? 443 : 80};
  auto colon = authority.rfind(':');
  if (colon != authority.npos && authority.find(']', colon) == authority.npos) {
    std::string_view digits = authority.substr(colon + 1);
    auto port = digits.size() <= 5 ? parse_number(digits, 65535) : std::nullopt;
    if (port.value_or(0) == 0)
      return std::nullopt;
    out.port = static_cast<int>(*port);
    out.host = authority.substr(0, colon);
  }
  return out;
}

/// Removes the scheme; empty if it is another one.
std::optional<bool> cut_scheme(std::string &text) {
  for (auto [scheme, tls] : {std::pair<std::string_view, bool>{"https://", true}, {"http://", false}}) {
    if (text.starts_with(scheme)) {
      text.erase(0, scheme.size());
      return tls;
    }
  }
  return std::nullopt;
}

/// A pattern, whose host may begin with "*".
std::optional<WebhookUrl> parse_pattern(std::string_view pattern) {
  std::string text = lower(pattern);
  bool tls = cut_scheme(text).value_or(true);
  return take_apart(tls, text);
}

}  // namespace

bool is_encoded_url(std::string_view text) {
  std::string begin = lower(text.substr(0, 8));
  return begin.starts_with("http%3a") || begin == "https%3a";
}

std::string decode_url(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char *begin = text.data() + i + 1;
    if (text[i] == '%' && text.size() - i > 2 &&
        std::from_chars(begin, begin + 2, byte, 16).ptr == begin + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<WebhookUrl> parse_webhook_url(std::string_view url) {
  bool clean =
      url.size() <= kMaxUrl && std::all_of(url.begin(), url.end(), [](char c) {
        return c > ' ' && c < 127 && std::string_view("\"<>\\^`{|}#").find(c) == std::string_view::npos;
      });
  if (!clean)
    return std::nullopt;
  std::string text = lower(url);
  auto tls = cut_scheme(text);
  if (!tls)
    return std::nullopt;
  auto out = take_apart(*tls, std::string_view(text).substr(0, text.find_first_of("/?")));
  return out && is_host(out->host) ? out : std::nullopt;
}

bool is_webhook_host(std::string_view pattern) {
  auto parsed = parse_pattern(pattern);
  if (!parsed)
    return false;
  std::string_view host = parsed->host;
  if (host == "*")
    return true;
  if (host.starts_with("*."))
    host.remove_prefix(2);
  return is_host(host);
}

bool fits_webhook_host(const WebhookUrl &url, std::string_view pattern) {
  auto allowed = parse_pattern(pattern);
  if (!allowed || allowed->tls != url.tls || allowed->port != url.port)
    return false;
  if (allowed->host == "*" || allowed->host == url.host)
    return true;
  return allowed->host.starts_with("*.") && url.host.size() >= allowed->host.size() &&
         url.host.ends_with(std::string_view(allowed->host).substr(1));
}

bool is_webhook_type(std::string_view type) {
  return type == "*" ||
         (!type.empty() && type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' || c == '-';
         }));
}

std::string webhook_json(std::string_view url, std::span<const std::string> types) {
  JsonWriter out;
  out.text("url", url);
  if (!types.empty()) {
    JsonList list;
    for (const std::string &type : types)
      list.text(type);
    out.made("on", list.take());
  }
  return out.take();
}

}  // namespace await::wire
