#include "http/exchange/request_info.h"

#include <algorithm>

#include "http/conf/conf.h"
#include "http/exchange/access.h"
#include "ngx/guard.h"
#include "ngx/str.h"

namespace await::http {
namespace {

/// In the request's pool, which it may share with its subrequests.
struct Note {
  ngx_http_request_t *request;
  RequestInfo *facts;
};

void destroy(void *data) { delete static_cast<Note *>(data)->facts; }

RequestInfo *own_info(ngx_http_request_t *r) {
  for (ngx_pool_cleanup_t *cleanup = r->pool->cleanup; cleanup != nullptr; cleanup = cleanup->next) {
    auto *note = static_cast<Note *>(cleanup->data);
    if (cleanup->handler == destroy && note->request == r)
      return note->facts;
  }
  return nullptr;
}

enum class Which : uintptr_t {
  id,
  state,
  owner,
  delivery,
  cache,
  hold_time,
  problem_type,
  request_id,
  safe_request,
  safe_request_uri
};

std::string value_of(ngx_http_request_t *r, Which which) {
  if (which == Which::owner)
    return std::string(owner_of(r).value_or(""));
  if (which == Which::request_id)
    return std::string(request_id_of(r));
  if (which == Which::safe_request)
    return starred(ngx::view(r->request_line));
  if (which == Which::safe_request_uri)
    return starred(ngx::view(r->unparsed_uri));
  RequestInfo *known = find_request_info(r);
  if (known == nullptr)
    return {};
  switch (which) {
    case Which::id:
      return known->id;
    case Which::state:
      return known->state;
    case Which::delivery:
      return known->delivery;
    case Which::cache:
      return known->cache;
    case Which::hold_time:
      return known->held_ms ? std::to_string(*known->held_ms) : "";
    case Which::problem_type:
      return known->problem ? std::string(problem_base(r)) + known->problem->name : "";
    case Which::owner:
    case Which::request_id:
    case Which::safe_request:
    case Which::safe_request_uri:
      break;
  }
  return {};
}

ngx_int_t get_variable(ngx_http_request_t *r, ngx_http_variable_value_t *value, uintptr_t data) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_ERROR}, [&]() -> ngx_int_t {
    std::string text = value_of(r, static_cast<Which>(data));
    if (text.empty()) {
      value->not_found = 1;
      return NGX_OK;
    }
    ngx_str_t copied = ngx::copy(r->pool, text);
    value->len = static_cast<unsigned>(copied.len);
    value->data = copied.data;
    value->valid = 1;
    value->no_cacheable = 1;
    value->not_found = 0;
    return NGX_OK;
  });
}

struct Known {
  const char *name;
  Which which;
};
constexpr Known kVariables[] = {
    {"await_id", Which::id},
    {"await_state", Which::state},
    {"await_owner", Which::owner},
    {"await_delivery", Which::delivery},
    {"await_cache_status", Which::cache},
    {"await_hold_time", Which::hold_time},
    {"await_problem_type", Which::problem_type},
    {"await_request_id", Which::request_id},
    {"await_safe_request", Which::safe_request},
    {"await_safe_request_uri", Which::safe_request_uri},
};

/// An id that can stand in a header, a log line, a URL and a shell command as it is.
bool is_request_id(std::string_view text) {
  constexpr std::string_view kOthers = "-_.:=+/@";
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [&](char c) {
    bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return alphanumeric || kOthers.find(c) != kOthers.npos;
  });
}

}  // namespace

std::string_view request_id_of(ngx_http_request_t *r) {
  const LocationConf &location = location_conf(r);
  if (location.request_id != nullptr) {
    std::string_view given = ngx::evaluate(r, location.request_id);
    if (is_request_id(given))
      return given;
  }
  auto index = static_cast<ngx_uint_t>(main_conf(r).request_id);
  const ngx_http_variable_value_t *value = ngx_http_get_indexed_variable(r, index);
  if (value == nullptr || value->not_found)
    return {};
  return {reinterpret_cast<const char *>(value->data), value->len};
}

RequestInfo *find_request_info(ngx_http_request_t *r) {
  RequestInfo *known = own_info(r);
  return known != nullptr || r == r->main ? known : own_info(r->main);
}

RequestInfo &request_info(ngx_http_request_t *r) {
  if (RequestInfo *known = own_info(r))
    return *known;
  ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Note));
  if (cleanup == nullptr)
    throw std::bad_alloc();
  auto *made = new RequestInfo;
  *static_cast<Note *>(cleanup->data) = {r, made};
  cleanup->handler = destroy;
  if (const RequestInfo *main = r != r->main ? own_info(r->main) : nullptr)
    made->take_identity(*main);
  return *made;
}

void RequestInfo::take_identity(const RequestInfo &from) {
  verified = from.verified;
  user = from.user;
  claims = from.claims;
  issued_ms = from.issued_ms;
  expires_s = from.expires_s;
  ticket_channels = from.ticket_channels;
}

void note_problem(ngx_http_request_t *r, const wire::Problem &problem) { request_info(r).problem = problem; }

ngx_int_t add_variables(ngx_conf_t *cf) {
  auto *main = static_cast<MainConf *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_await_module));
  ngx_str_t id = ngx_string("request_id");
  main->request_id = ngx_http_get_variable_index(cf, &id);  // indexed, it is the same each time it is read
  if (main->request_id == NGX_ERROR)
    return NGX_ERROR;
  for (const Known &known : kVariables) {
    ngx_str_t name = ngx::borrow(known.name);
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
    if (variable == nullptr)
      return NGX_ERROR;
    variable->get_handler = get_variable;
    variable->data = static_cast<uintptr_t>(known.which);
  }
  return NGX_OK;
}

}  // namespace await::http
