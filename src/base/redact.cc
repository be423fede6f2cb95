#include "base/redact.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace await {
namespace {

constexpr std::string_view kHidden = "***";

// keywords of libpq whose values are useful in messages (manual, 34.1.2)
constexpr std::string_view kShown[] = {"host",
                                       "hostaddr",
                                       "port",
                                       "dbname",
                                       "user",
                                       "service",
                                       "passfile",
                                       "sslmode",
                                       "sslrootcert",
                                       "sslcert",
                                       "sslkey",
                                       "connect_timeout",
                                       "channel_binding",
                                       "gssencmode",
                                       "target_session_attrs",
                                       "keepalives",
                                       "tcp_user_timeout",
                                       "ssl_min_protocol_version",
                                       "ssl_max_protocol_version",
                                       "client_encoding"};

constexpr std::string_view kSchemes[] = {"postgres", "postgresql", "redis", "rediss",
                                         "http",     "https",      "mysql"};

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether the value is a name, an address, a path or a number, and cannot contain credentials, as in
/// dbname=postgres://u:p@h.
bool is_plain(std::string_view value) {
  return value.find("//") == std::string_view::npos && std::all_of(value.begin(), value.end(), [](char c) {
           return is_alnum(c) || std::string_view("_.,-/").find(c) != std::string_view::npos;
         });
}

bool is_address(std::string_view value) {
  return std::all_of(value.begin(), value.end(),
                     [](char c) {
                       return is_alnum(c) || std::string_view("_.,-/:@").find(c) != std::string_view::npos;
                     }) &&
         value.find('@', 1) == std::string_view::npos && value.find("//") == std::string_view::npos;
}

/// Whether it is `host`, `host:port` or `[v6]:port`. A port that is not a number may be a password whose
/// @host was forgotten.
bool is_host_and_port(std::string_view text) {
  std::string_view port;
  if (text.starts_with('[')) {
    auto end = text.find(']');
    if (end == std::string_view::npos)
      return false;
    port = text.substr(end + 1);
    text = text.substr(1, end - 1);
    if (!std::all_of(text.begin(), text.end(), [](char c) {
          return std::isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.';
        }))
      return false;
  } else {
    auto colon = text.find(':');
    port = colon == std::string_view::npos ? "" : text.substr(colon);
    text = text.substr(0, colon);
    if (!std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == '%'; }))
      return false;
  }
  if (port.empty())
    return true;
  return port[0] == ':' && port.size() <= 6 && std::all_of(port.begin() + 1, port.end(), is_digit);
}

bool is_authority(std::string_view hosts) {
  while (!hosts.empty()) {
    if (!is_host_and_port(cut(hosts, ',')))
      return false;
  }
  return true;
}

/// The redacted part of a URL after the credentials.
std::string place_of(std::string_view text, bool had_credentials) {
  auto end = text.find_first_of("/?");
  std::string_view hosts = text.substr(0, end);
  if (hosts.empty() && !had_credentials && end != std::string_view::npos && text[end] == '?')
    return "?" + std::string(kHidden);
  if (!is_authority(hosts))
    return std::string(kHidden);
  std::string out(hosts);
  std::string_view rest = end == std::string_view::npos ? "" : text.substr(end);
  auto query = rest.find('?');
  std::string_view path = rest.substr(0, query);
  // without credentials, host:port/path may be the beginning of credentials
  if (!path.empty())
    out += had_credentials && is_plain(path) ? std::string(path) : "/" + std::string(kHidden);
  if (query != std::string_view::npos)
    out += "?" + std::string(kHidden);
  return out;
}

/// The end of the scheme of a URL, including misspelled ones such as `postgres//` and `redis:`; 0 if there is
/// none.
std::size_t scheme_length(std::string_view text) {
  auto end = static_cast<std::size_t>(
      std::find_if_not(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '+'; }) -
      text.begin());
  return end > 0 && end < text.size() && (text[end] == ':' || text.substr(end).starts_with("//")) ? end : 0;
}

std::string redact_url(std::string_view text, std::size_t scheme) {
  std::string out;
  std::string name = lower(text.substr(0, scheme));
  std::string_view rest = text.substr(scheme);
  if (rest.starts_with(':'))
    rest.remove_prefix(1);
  for (int slashes = 0; slashes < 2 && rest.starts_with('/'); ++slashes)
    rest.remove_prefix(1);
  bool known = std::find(std::begin(kSchemes), std::end(kSchemes), name) != std::end(kSchemes);
  auto at = rest.rfind('@');
  if (known)
    out = std::string(text.substr(0, text.size() - rest.size()));
  else if (at == std::string_view::npos)
    return is_host_and_port(text) && text.size() > scheme + 1 ? std::string(text) : std::string(kHidden);
  auto query = rest.find('?');
  // either an @ in the query, or a ? in a password: this cannot be decided
  if (at != std::string_view::npos && query != std::string_view::npos && query < at)
    return out + std::string(kHidden);
  if (at == std::string_view::npos)
    return out + place_of(rest, false);
  return out + std::string(kHidden) + "@" + place_of(rest.substr(at + 1), true);
}

bool is_secret(const std::string &name) {
  for (std::string_view part : {"pass", "pw", "secret", "token"}) {
    if (name.find(part) != std::string::npos)
      return name != "passfile";
  }
  return false;
}

/// Removes a value of a conninfo from the start of `text`. Empty if the quote is not closed.
bool take_value(std::string_view &text, std::string &value) {
  bool quoted = text.starts_with('\'');
  std::size_t i = quoted ? 1 : 0;
  for (; i < text.size(); ++i) {
    if (quoted ? text[i] == '\'' : is_space(text[i]))
      break;
    if (text[i] == '\\' && i + 1 < text.size())
      ++i;
    value += text[i];
  }
  if (quoted && i >= text.size())
    return false;
  text.remove_prefix(quoted ? i + 1 : i);
  return true;
}

void skip_space(std::string_view &text) {
  while (!text.empty() && is_space(text[0]))
    text.remove_prefix(1);
}

std::string redact_pairs(std::string_view text) {
  std::string out;
  bool secret_seen = false;  // a word without a keyword may be the rest of an unquoted password
  for (skip_space(text); !text.empty(); skip_space(text)) {
    auto end = std::min(text.find_first_of("= \t\r\n\f\v"), text.size());
    std::string name = lower(text.substr(0, end));
    text.remove_prefix(end);
    skip_space(text);
    out += out.empty() ? "" : " ";
    if (!text.starts_with('='))
      return out + std::string(kHidden);
    text.remove_prefix(1);
    skip_space(text);
    std::string value;
    bool whole = take_value(text, value);
    bool known = std::find(std::begin(kShown), std::end(kShown), name) != std::end(kShown);
    bool word = name.size() <= 30 && std::all_of(name.begin(), name.end(),
                                                 [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    bool plain = name.starts_with("host") ? is_address(value)
                 : name == "port"
                     ? value.size() <= 64 && std::all_of(value.begin(), value.end(),
                                                         [](char c) { return is_digit(c) || c == ','; })
                     : is_plain(value);
    if (known || name == "password" || name == "sslpassword" || (word && !secret_seen))
      out += name + "=";
    secret_seen = secret_seen || is_secret(name);
    out += known && whole && plain ? value : std::string(kHidden);
    if (!whole)
      return out;
  }
  return out;
}

}  // namespace

std::string redact(std::string_view address) {
  address = trim(address);
  if (address.empty())
    return {};
  if (address.starts_with("unix:"))
    return "unix:" + (is_plain(address.substr(5)) && address.substr(5).starts_with('/')
                          ? std::string(address.substr(5))
                          : std::string(kHidden));
  if (std::size_t scheme = scheme_length(address); scheme != 0)
    return printable(redact_url(address, scheme));
  if (address.find('=') != std::string_view::npos)
    return printable(redact_pairs(address));
  auto at = address.rfind('@');
  if (at != std::string_view::npos && address.find('?') == std::string_view::npos)
    return std::string(kHidden) + "@" + place_of(address.substr(at + 1), true);
  return std::string(kHidden);
}

std::string redact_message(std::string_view message, std::string_view address) {
  std::string shown = redact(address);
  for (std::size_t at = 0;;) {
    auto begin = message.find('"', at);
    if (begin == std::string_view::npos)
      return std::string(message);
    auto end = message.find('"', begin + 1);
    std::string_view quoted =
        message.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1);
    bool mark = quoted.size() == 1 && !is_alnum(quoted[0]);
    bool told = quoted.size() > 1 && quoted.find(kHidden) == std::string_view::npos &&
                shown.find(quoted) != std::string::npos;
    if (end != std::string_view::npos && (mark || told)) {
      at = end + 1;
      continue;
    }
    // quoted text may contain quotes: the last one ends it
    auto last = message.rfind('"');
    return std::string(message.substr(0, begin)) + "\"" + std::string(kHidden) + "\"" +
           (last > begin ? std::string(message.substr(last + 1)) : "");
  }
}

std::string scrub(std::string text, std::string_view secret) {
  if (secret.size() < 4)
    return text;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + kHidden.size()))
    text.replace(at, secret.size(), kHidden);
  return text;
}

}  // namespace await
