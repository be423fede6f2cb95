#include "http/exchange/request.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "ngx/str.h"
#include "wire/prefer.h"

namespace await::http {
namespace {

constexpr std::size_t kRoom = 64;  // behind a path: a slash and an id

template <class Visit>
void each_header(ngx_http_request_t *r, std::string_view lower_name, Visit visit) {
  for (ngx_list_part_t *part = &r->headers_in.headers.part; part != nullptr; part = part->next) {
    auto *headers = static_cast<ngx_table_elt_t *>(part->elts);
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      if (headers[i].key.len == lower_name.size() &&
          ngx_strncmp(headers[i].lowcase_key, lower_name.data(), lower_name.size()) == 0)
        visit(ngx::view(headers[i].value));
    }
  }
}

/// The path the client asked for, as it wrote it, without the query. Begins with one slash: a reference that
/// begins with two names another host (RFC 3986 §4.2), and browsers take a backslash for a slash.
std::string client_path(ngx_http_request_t *r) {
  std::string_view uri = ngx::view(r->unparsed_uri);
  std::string_view path = uri.substr(0, uri.find('?'));
  path.remove_prefix(std::min(path.find_first_not_of("/\\"), path.size()));
  std::string out;
  out.reserve(path.size() + kRoom);
  out += '/';
  return out.append(path);
}

void append_escaped(std::string &out, char c) {
  constexpr char kHex[] = "0123456789ABCDEF";
  auto byte = static_cast<unsigned char>(c);
  if (byte > 0x20 && byte < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos) {
    out += c;
    return;
  }
  out += '%';
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

wire::Links make_links(ngx_http_request_t *r, std::string self) {
  const LocationConf &location = location_conf(r);
  std::string result =
      location.result_uri != nullptr ? std::string(ngx::evaluate(r, location.result_uri)) : self + "/result";
  std::string events = self + "/events";
  return {std::move(self), std::move(result), std::move(events)};
}

/// The path of `id` below that of the request.
std::string below_client_path(ngx_http_request_t *r, const Uuid &id) {
  std::string path = client_path(r);
  while (path.ends_with('/'))
    path.pop_back();
  path += '/';
  path += id.text();
  return path;
}

/// What is in front of the ids of jobs: the path of the request of a batch without its last segments.
/// @param levels  how many: "/batches" or "/batches/<id>"; 0: it is not known where jobs are
std::optional<std::string> path_of_jobs(ngx_http_request_t *r, ngx_uint_t levels) {
  std::string path = client_path(r);
  if (levels > 1)
    path.resize(path.rfind('/'));
  constexpr std::string_view kBatches = "/batches";
  if (levels == 0 || !path.ends_with(kBatches))
    return std::nullopt;
  path.resize(path.size() - kBatches.size());
  return path;
}

wire::BatchLinks make_batch_links(std::string self) {
  std::string events = self + "/events";
  return {std::move(self), std::move(events)};
}

}  // namespace

std::string header(ngx_http_request_t *r, std::string_view lower_name) {
  std::string out;
  each_header(r, lower_name, [&](std::string_view value) {
    if (!out.empty())
      out += lower_name == "cookie" ? "; " : ", ";  // it is no list, RFC 6265 §5.4
    out += value;
  });
  return out;
}

std::string own_header(ngx_http_request_t *r, std::string_view lower_name) {
  return r == r->main ? header(r, lower_name) : std::string();
}

bool has_header(ngx_http_request_t *r, std::string_view lower_name) {
  bool found = false;
  each_header(r, lower_name, [&](std::string_view) { found = true; });
  return found;
}

bool lists(std::string_view value, std::string_view word) {
  while (!value.empty()) {
    if (iequals(trim(cut(value, ',')), word))
      return true;
  }
  return false;
}

bool asks_for_websocket(ngx_http_request_t *r) {
  return r == r->main && r->http_version == NGX_HTTP_VERSION_11 && r->stream == nullptr &&
         lists(header(r, "upgrade"), "websocket") && lists(header(r, "connection"), "upgrade");
}

std::optional<std::string> argument(ngx_http_request_t *r, std::string_view name) {
  ngx_str_t raw;
  if (ngx_http_arg(r, reinterpret_cast<u_char *>(const_cast<char *>(name.data())), name.size(), &raw) !=
      NGX_OK)
    return std::nullopt;
  std::string out(raw.len, '\0');
  auto *to = reinterpret_cast<u_char *>(out.data());
  u_char *from = raw.data;
  ngx_unescape_uri(&to, &from, raw.len, 0);
  out.resize(static_cast<std::size_t>(to - reinterpret_cast<u_char *>(out.data())));
  return out;
}

Wait wait_of(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  Wait wait;
  wire::Prefer prefer;
  if (r == r->main)
    each_header(r, "prefer", [&](std::string_view field) { wire::parse_prefer(field, prefer); });
  if (auto asked = argument(r, "wait")) {
    auto seconds = parse_clipped(*asked, 1'000'000'000);
    wait.malformed = !seconds;
    wait.ms = seconds.value_or(0) * 1000;
  } else if (prefer.wait_s) {
    wait.ms = *prefer.wait_s * 1000;
    wait.preferred = true;
  } else if (prefer.wait) {
    wait.ms = static_cast<std::int64_t>(location.hold > 0 ? location.hold : location.hold_max);
    wait.preferred = true;
  } else if (!prefer.respond_async) {
    wait.ms = static_cast<std::int64_t>(location.hold);
  }
  wait.ms = std::min(wait.ms, static_cast<std::int64_t>(location.hold_max));
  if (r->method & NGX_HTTP_HEAD)
    wait.ms = 0;
  return wait;
}

void add_wait_headers(ngx_http_request_t *r, const Wait &wait, std::string_view vary) {
  add_header(r, "Vary", vary);
  if (wait.preferred)
    add_header(r, "Preference-Applied", "wait=" + std::to_string(wait.ms / 1000));
}

std::string next_page(ngx_http_request_t *r, std::string_view cursor) {
  std::string_view args = ngx::view(r->unparsed_uri);
  cut(args, '?');
  std::string out = "?";
  while (!args.empty()) {
    std::string_view one = cut(args, '&');
    std::string_view name = one.substr(0, one.find('='));
    bool masked = name.size() + 1 < one.size() && one.find_first_not_of('*', name.size() + 1) == one.npos;
    if (one.empty() || masked || iequals(name, "cursor") || iequals(name, "ticket"))
      continue;
    for (char c : one)  // as a URI has it, so that nothing ends the reference in the header
      append_escaped(out, c);
    out += '&';
  }
  return out.append("cursor=").append(cursor);
}

wire::Links links_of(ngx_http_request_t *r, std::string_view suffix) {
  const LocationConf &location = location_conf(r);
  if (location.job_uri != nullptr)
    return make_links(r, std::string(ngx::evaluate(r, location.job_uri)));
  std::string path = client_path(r);
  if (!suffix.empty() && path.ends_with(suffix))
    path.resize(path.size() - suffix.size());
  return make_links(r, std::move(path));
}

wire::Links links_of_retry(ngx_http_request_t *r, const Uuid &old, const Uuid &id) {
  const LocationConf &location = location_conf(r);
  if (location.job_uri != nullptr)
    return make_links(r, std::string(ngx::evaluate(r, location.job_uri)));
  std::string path = client_path(r);
  if (path.ends_with("/retry"))
    path.resize(path.size() - 6);
  auto last = path.rfind('/');
  if (Uuid::parse(path.substr(last + 1)) == old)  // in upper or lower case
    path.resize(last);
  return make_links(r, path + "/" + id.text());
}

wire::Links links_of_new(ngx_http_request_t *r, const Uuid &id) {
  const LocationConf &location = location_conf(r);
  if (location.job_uri != nullptr)
    return make_links(r, std::string(ngx::evaluate(r, location.job_uri)));
  auto above = path_of_jobs(r, location.levels_below_jobs);
  return make_links(r, above ? *above + "/" + id.text() : below_client_path(r, id));
}

wire::BatchLinks batch_links_of(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  return make_batch_links(location.batch_uri != nullptr ? std::string(ngx::evaluate(r, location.batch_uri))
                                                        : client_path(r));
}

wire::BatchLinks batch_links_of_new(ngx_http_request_t *r, const Uuid &id) {
  const LocationConf &location = location_conf(r);
  return make_batch_links(location.batch_uri != nullptr ? std::string(ngx::evaluate(r, location.batch_uri))
                                                        : below_client_path(r, id));
}

std::int64_t age_ms(ngx_http_request_t *r) {
  const ngx_time_t &now = *ngx_timeofday();
  std::int64_t ms = (now.sec - r->start_sec) * 1000 + static_cast<std::int64_t>(now.msec) -
                    static_cast<std::int64_t>(r->start_msec);
  return std::max<std::int64_t>(ms, 0);  // the clock may have been set
}

std::optional<std::string_view> path_below(ngx_http_request_t *r) {
  auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  std::string_view prefix = ngx::view(core->name);
  while (prefix.ends_with('/'))
    prefix.remove_suffix(1);
  std::string_view path = ngx::view(r->uri);
  if (!path.starts_with(prefix))
    return std::nullopt;
  path.remove_prefix(prefix.size());
  return path == "/" ? std::string_view() : path;
}

wire::Links links_of_listed(ngx_http_request_t *r, const Uuid &id) {
  const LocationConf &location = location_conf(r);
  auto above = path_of_jobs(r, location.levels_below_jobs);
  if (location.job_uri == nullptr && !above)
    return {};
  RequestInfo &info = request_info(r);
  std::string own = std::exchange(info.id, id.text());  // $await_id
  wire::Links links =
      make_links(r, location.job_uri != nullptr ? std::string(ngx::evaluate(r, location.job_uri))
                                                : *above + "/" + info.id);
  info.id = std::move(own);
  return links;
}

}  // namespace await::http
