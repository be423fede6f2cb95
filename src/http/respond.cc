#include "http/respond.h"

#include "base/text.h"
#include "http/facts.h"
#include "http/settings.h"
#include "ngx/str.h"

namespace await::http {
namespace {

/// Whether the location has an error_page for this status, and nginx would use it now.
bool has_error_page(ngx_http_request_t *r, int status) {
  auto *core = static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  if (core->error_pages == nullptr || (r->error_page && !core->recursive_error_pages) || r->uri_changes == 0)
    return false;
  auto *pages = static_cast<ngx_http_err_page_t *>(core->error_pages->elts);
  for (ngx_uint_t i = 0; i < core->error_pages->nelts; ++i) {
    if (pages[i].status == status)
      return true;
  }
  return false;
}

}  // namespace

void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value) {
  auto *header = static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_out.headers));
  if (header == nullptr)
    throw std::bad_alloc();
  *header = ngx_table_elt_t{};
  header->hash = 1;
  header->key = ngx::borrow(name);
  header->value = ngx::copy(r->pool, value);
}

ngx_int_t send(ngx_http_request_t *r, int status, std::string_view content_type, std::string_view body) {
  r->headers_out.status = static_cast<ngx_uint_t>(status);
  r->headers_out.content_type = ngx::copy(r->pool, content_type);
  r->headers_out.content_type_len =
      content_type.find(';') == std::string_view::npos ? content_type.size() : content_type.find(';');
  r->headers_out.content_type_lowcase = nullptr;
  r->headers_out.content_length_n = static_cast<off_t>(body.size());
  r->disable_not_modified = 1;  // conditional requests were decided by us
  if (body.empty())
    r->header_only = 1;
  ngx_int_t rc = ngx_http_send_header(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
    return rc;
  ngx_buf_t *buffer = ngx_create_temp_buf(r->pool, body.size());
  if (buffer == nullptr)
    return NGX_ERROR;
  buffer->last = ngx_cpymem(buffer->last, body.data(), body.size());
  buffer->last_buf = r == r->main ? 1 : 0;
  buffer->last_in_chain = 1;
  ngx_chain_t chain{buffer, nullptr};
  return ngx_http_output_filter(r, &chain);
}

ngx_int_t send_empty(ngx_http_request_t *r, int status) {
  r->headers_out.status = static_cast<ngx_uint_t>(status);
  r->headers_out.content_length_n = status == 204 || status == 304 ? -1 : 0;
  r->header_only = 1;
  r->disable_not_modified = 1;
  return ngx_http_send_header(r);
}

ngx_int_t send_problem_body(ngx_http_request_t *r, int status, std::string_view body) {
  add_header(r, "Cache-Control", "no-store");
  return send(r, status, "application/problem+json", body);
}

/// What a client did wrong is told once, where nginx tells of its clients' errors. What it sent is not.
void log_refusal(ngx_http_request_t *r, const wire::Problem &problem) {
  if (problem.status >= 400 && problem.status < 500)
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "await: answering %d: %s", problem.status,
                  printable(problem.detail).c_str());
}

ngx_int_t send_problem(ngx_http_request_t *r, const wire::Problem &problem) {
  note_problem(r, problem);
  log_refusal(r, problem);
  if (has_error_page(r, problem.status))
    return problem.status;
  return send_problem_body(r, problem.status, wire::encode(problem, problem_base(r), ngx::view(r->uri)));
}

ngx_int_t send_problem(ngx_http_request_t *r, int status, std::string_view detail) {
  wire::Problem problem = wire::problem_of_status(status);
  problem.detail = detail;
  return send_problem(r, problem);
}

ngx_int_t send_unavailable(ngx_http_request_t *r, std::string_view detail) {
  add_header(r, "Retry-After", std::to_string(retry_after_s(r)));
  return send_problem(r, 503, detail);
}

ngx_int_t send_error(ngx_http_request_t *r, const Error &error) {
  switch (error.code) {
    case Code::unavailable:
    case Code::timeout:
      ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "await: answering 503: %s", error.detail.c_str());
      return send_unavailable(r, "The database cannot be reached just now. Nothing is lost; try again.");
    case Code::conflict:
      return send_problem(r, 409, error.detail);
    case Code::not_found:
      return send_problem(r, 404, "There is no such job.");
    case Code::invalid:
      return send_problem(r, 400, error.detail);
    case Code::forbidden:
    case Code::internal:
      break;
    case Code::too_large:
      return send_problem(r, 413, error.detail);
    case Code::exhausted:
      ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "await: answering 503: %s", error.detail.c_str());
      return send_unavailable(r, "There is no room for it just now. Nothing was stored; try again later.");
  }
  ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "await: answering 500: %s", error.detail.c_str());
  return send_problem(r, 500, "");
}

}  // namespace await::http
