#include "wire/replay.h"

#include <jansson.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "base/text.h"
#include "wire/json_writer.h"

namespace await::wire {
namespace {

using Json = std::unique_ptr<json_t, void (*)(json_t *)>;

constexpr std::size_t kMaxHeaders = 100;

constexpr std::string_view kMethods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

constexpr std::string_view kNotReplayed[] = {"connection",
                                             "keep-alive",
                                             "te",
                                             "trailer",
                                             "transfer-encoding",
                                             "upgrade",
                                             "proxy",  // which CGI would take for the variable HTTP_PROXY
                                             "proxy-authenticate",
                                             "proxy-authorization",
                                             "proxy-connection",
                                             "http2-settings",
                                             "content-length",
                                             "expect",
                                             "host",
                                             "content-type",
                                             "content-encoding",
                                             "accept-encoding",
                                             "idempotency-key",
                                             "traceparent",
                                             "x-request-id",
                                             "x-correlation-id",
                                             "range",
                                             "if-range",
                                             "if-none-match",
                                             "if-modified-since",
                                             "prefer"};

bool is_field_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

/// A character that may stand in a request target (RFC 3986 §3.3, §3.4), or one that is often found there
/// and does no harm.
bool is_target_char(unsigned char c) {
  return c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>';
}

/// Slashes and dots as a back end may see them.
std::string undo_encoding(std::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    std::string code = path[i] == '%' ? lower(path.substr(i + 1, 2)) : "";
    bool known = code == "2e" || code == "2f" || code == "5c";
    out += code == "2e" ? '.' : known ? '/' : path[i] == '\\' ? '/' : path[i];
    i += known ? 2 : 0;
  }
  return out;
}

bool has_dot_segments(std::string_view path) {
  std::string plain = undo_encoding(path);
  std::string_view rest = plain;
  while (!rest.empty()) {
    std::string_view segment = cut(rest, '/');
    segment = segment.substr(0, segment.find(';'));  // path parameters, which some servers take off first
    if (segment == "." || segment == "..")
      return true;
  }
  return false;
}

Result<Replay> bad(std::string what) { return Error{Code::invalid, std::move(what)}; }

/// The text of a member; `or_else` if there is none; nothing if it is no text.
std::optional<std::string> text_of(const json_t *object, const char *name, const std::string &or_else) {
  const json_t *member = json_object_get(object, name);
  if (member == nullptr || json_is_null(member))
    return or_else;
  if (!json_is_string(member))
    return std::nullopt;
  return std::string(json_string_value(member), json_string_length(member));
}

/// @return what is wrong; empty: nothing
std::string read_headers(json_t *headers, Replay &to) {
  if (headers == nullptr || json_is_null(headers))
    return "";
  if (!json_is_object(headers) || json_object_size(headers) > kMaxHeaders)
    return "\"headers\" is not an object of up to 100 members";
  const char *name;
  json_t *value;
  json_object_foreach(headers, name, value) {
    if (!json_is_string(value))
      return "a header is not a string";
    std::string text(json_string_value(value), json_string_length(value));
    if (!is_token(name) || !is_field_value(text))
      return "a header has a name or a value that cannot be sent";
    if (is_replayed_header(name))
      to.headers.emplace_back(name, std::move(text));
  }
  return "";
}

bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
      return std::isxdigit(c) != 0 || c == ':' || c == '.';
    });
  }
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

std::string encode(const Replay &replay) {
  std::string members;
  for (const auto &[name, value] : replay.headers)
    members += (members.empty() ? "" : ",") + json_string(name) + ":" + json_string(value);
  JsonWriter out;
  if (!replay.origin.empty())
    out.text("origin", replay.origin);
  out.text("method", replay.method);
  out.text("uri", replay.uri);
  out.made("headers", "{" + members + "}");
  return out.take();
}

Result<Replay> parse_replay(const std::optional<std::string> &params) {
  if (!params)
    return Replay{};
  Json json(json_loadb(params->data(), params->size(), JSON_ALLOW_NUL, nullptr), json_decref);
  if (!json || !json_is_object(json.get()))
    return bad("they are not a JSON object");
  Replay replay;
  auto origin = text_of(json.get(), "origin", "");
  auto method = text_of(json.get(), "method", "POST");
  auto uri = text_of(json.get(), "uri", "");
  if (!method || !is_replayed_method(*method))
    return bad("\"method\" is not GET, POST, PUT, PATCH or DELETE");
  auto target = uri && !uri->empty() ? clean_target(*uri) : uri;
  if (!target)
    return bad("\"uri\" is not a path without the segments \".\" and \"..\"");
  auto backend = origin && !origin->empty() ? parse_backend(*origin) : BackendUrl{};
  if (!origin || !backend || !backend->path.empty())
    return bad("\"origin\" is not a URL such as http://backend:9000");
  if (std::string why = read_headers(json_object_get(json.get(), "headers"), replay); !why.empty())
    return bad(why);
  replay.origin = backend->origin;
  replay.method = *method;
  replay.uri = *target;
  return replay;
}

bool is_replayed_method(std::string_view method) {
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

bool is_replayed_header(std::string_view name) {
  std::string plain = lower(name);
  return is_token(name) && !plain.starts_with("proxy-") && !plain.starts_with("x-await-") &&
         std::find(std::begin(kNotReplayed), std::end(kNotReplayed), plain) == std::end(kNotReplayed);
}

std::optional<std::string> clean_target(std::string_view target) {
  if (!target.starts_with('/') || has_dot_segments(target.substr(0, target.find('?'))))
    return std::nullopt;
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : target) {
    if (is_target_char(c))
      out += static_cast<char>(c);
    else
      out += {'%', kHex[c >> 4], kHex[c & 15]};
  }
  return out;
}

std::optional<BackendUrl> parse_backend(std::string_view url) {
  bool tls = iequals(url.substr(0, 8), "https://");
  if (!tls && !iequals(url.substr(0, 7), "http://"))
    return std::nullopt;
  url.remove_prefix(tls ? 8 : 7);
  std::string_view authority = url.substr(0, url.find('/'));
  std::string_view path = url.substr(authority.size());
  auto colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  std::string_view host = authority.substr(0, colon);
  std::string out = (tls ? "https://" : "http://") + lower(host);
  if (colon != std::string_view::npos) {
    auto port = parse_number(authority.substr(colon + 1), 65535);
    if (!port || *port == 0)
      return std::nullopt;
    if (*port != (tls ? 443 : 80))
      out += ":" + std::to_string(*port);
  }
  while (path.ends_with('/'))
    path.remove_suffix(1);
  bool plain =
      path.find('?') == std::string_view::npos && std::all_of(path.begin(), path.end(), is_target_char);
  if (!is_host(host) || !plain || (!path.empty() && !clean_target(path)))
    return std::nullopt;
  return BackendUrl{out, std::string(path)};
}

}  // namespace await::wire
