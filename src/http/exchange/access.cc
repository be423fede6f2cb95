#include "http/exchange/access.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "ngx/str.h"

namespace await::http {

ngx_int_t add_phase_handler(ngx_conf_t *cf, ngx_http_phases phase, ngx_http_handler_pt handler) {
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));
  auto *slot = static_cast<ngx_http_handler_pt *>(ngx_array_push(&core->phases[phase].handlers));
  if (slot == nullptr)
    return NGX_ERROR;
  *slot = handler;
  return NGX_OK;
}

namespace {

/// nginx itself clears one only, the last that was added.
ngx_int_t clear_challenges(ngx_http_request_t *r) {
  if (r->err_status != 0)
    return NGX_DECLINED;  // a second call by an error_page, with the challenge of the response
  for (ngx_list_part_t *part = &r->headers_out.headers.part; part != nullptr; part = part->next) {
    auto *headers = static_cast<ngx_table_elt_t *>(part->elts);
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      if (ngx::view(headers[i].key) == "WWW-Authenticate")
        headers[i].hash = 0;
    }
  }
  return NGX_DECLINED;
}

/// Whether this module sends the response, instead of nginx.
bool decides(ngx_http_request_t *r) {
  auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  return core->satisfy == NGX_HTTP_SATISFY_ALL && core->auth_delay == 0;
}

ngx_int_t give(ngx_http_request_t *r, Answer answer) {
  ngx::finalize(r, answer);
  return NGX_DONE;
}

}  // namespace

ngx_int_t add_access_handler(ngx_conf_t *cf, ngx_http_handler_pt handler) {
  if (add_phase_handler(cf, NGX_HTTP_ACCESS_PHASE, handler) != NGX_OK)
    return NGX_ERROR;
  return add_phase_handler(cf, NGX_HTTP_PRECONTENT_PHASE, clear_challenges);
}

ngx_int_t challenge(ngx_http_request_t *r, const std::string &how, std::string_view detail, const char *why) {
  add_header(r, "WWW-Authenticate", how);
  if (why != nullptr)
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "await: answering 401: %s", why);
  if (!decides(r))
    return NGX_HTTP_UNAUTHORIZED;
  return give(r, why != nullptr ? send_logged_problem(r, 401, detail) : send_problem(r, 401, detail));
}

ngx_int_t deny_unavailable(ngx_http_request_t *r, std::string_view detail) {
  add_retry_after(r);
  if (!decides(r))
    return NGX_HTTP_SERVICE_UNAVAILABLE;
  return give(r, send_unavailable(r, detail));
}

void blank_argument(ngx_http_request_t *r, std::string_view value) {
  std::string sought = "=" + std::string(value);
  for (ngx_str_t *text : {&r->request_line, &r->unparsed_uri, &r->args}) {
    std::string_view all = ngx::view(*text);
    for (auto at = all.find(sought); at != all.npos; at = all.find(sought, at + sought.size())) {
      auto end = at + sought.size();
      if (end == all.size() || all[end] == '&' || all[end] == ' ')
        ngx_memset(text->data + at + 1, '*', value.size());
    }
  }
}

void settle_identity(ngx_http_request_t *r) {
  auto *core =
      static_cast<ngx_http_core_main_conf_t *>(ngx_http_get_module_main_conf(r, ngx_http_core_module));
  auto *variables = static_cast<ngx_http_variable_t *>(core->variables.elts);
  for (ngx_uint_t i = 0; i < core->variables.nelts; ++i) {
    std::string_view name = ngx::view(variables[i].name);
    if (name == "await_user" || name.starts_with("await_jwt_claim_"))
      ngx_http_get_flushed_variable(r, i);
  }
}

std::string starred(std::string_view text) {
  std::string out(text);
  std::string plain = lower(text);  // nginx takes an argument's name in any case
  for (std::string_view name : {"ticket=", "token="}) {
    for (auto at = plain.find(name); at != plain.npos; at = plain.find(name, at + name.size())) {
      if (at == 0 || (out[at - 1] != '?' && out[at - 1] != '&'))
        continue;
      auto begin = at + name.size();
      auto end = std::min(out.find_first_of("& #", begin), out.size());
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin),
                out.begin() + static_cast<std::ptrdiff_t>(end), '*');
    }
  }
  return out;
}

}  // namespace await::http
