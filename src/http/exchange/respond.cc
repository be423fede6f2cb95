#include "http/exchange/respond.h"

#include <algorithm>
#include <new>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/problem_page.h"
#include "http/exchange/request_info.h"
#include "http/exchange/retry.h"
#include "http/runtime/runtime.h"
#include "ngx/str.h"

namespace await::http {
namespace {

constexpr std::string_view kRequestId = "X-Request-Id";

const ngx_http_core_loc_conf_t &core_conf(ngx_http_request_t *r) {
  return *static_cast<ngx_http_core_loc_conf_t *>(ngx_http_get_module_loc_conf(r, ngx_http_core_module));
}

#if (nginx_version >= 1023000)
void add_line(ngx_http_request_t *, ngx_table_elt_t **field, ngx_table_elt_t *header) {
  while (*field != nullptr)
    field = &(*field)->next;
  *field = header;
}
#else
void add_line(ngx_http_request_t *r, ngx_array_t *field, ngx_table_elt_t *header) {
  if (field->elts == nullptr && ngx_array_init(field, r->pool, 2, sizeof(ngx_table_elt_t *)) != NGX_OK)
    throw std::bad_alloc();
  auto **slot = static_cast<ngx_table_elt_t **>(ngx_array_push(field));
  if (slot == nullptr)
    throw std::bad_alloc();
  *slot = header;
}
#endif

/// nginx keeps a pointer to these beside the list.
void register_header(ngx_http_request_t *r, std::string_view name, ngx_table_elt_t *header) {
  ngx_http_headers_out_t &out = r->headers_out;
  if (name == "Cache-Control")
    add_line(r, &out.cache_control, header);
  else if (name == "Link")
    add_line(r, &out.link, header);
  else if (name == "ETag")
    out.etag = header;
  else if (name == "Accept-Ranges")
    out.accept_ranges = header;
  else if (name == "Content-Range")
    out.content_range = header;
  else if (name == "WWW-Authenticate")
    out.www_authenticate = header;
}

/// The header that this one replaces: the same header, or another one of a kind that may occur only once. An
/// error_page may lead through several of our handlers.
ngx_table_elt_t *same_header(ngx_http_request_t *r, std::string_view name, std::string_view value) {
  bool single = name == "Retry-After" || name == "Cache-Control" || name == "ETag" || name == "Allow" ||
                name == kRequestId;
  for (ngx_list_part_t *part = &r->headers_out.headers.part; part != nullptr; part = part->next) {
    auto *headers = static_cast<ngx_table_elt_t *>(part->elts);
    for (ngx_uint_t i = 0; i < part->nelts; ++i) {
      ngx_table_elt_t &one = headers[i];
      if (one.hash != 0 && ngx::view(one.key) == name && (single || ngx::view(one.value) == value))
        return &one;
    }
  }
  return nullptr;
}

/// The statuses of the module for which nginx has no reason phrase.
std::string_view status_line(int status) {
  switch (status) {
    case 422:
      return "422 Unprocessable Content";
    case 424:
      return "424 Failed Dependency";
    case 426:
      return "426 Upgrade Required";
    default:
      return {};
  }
}

void set_status(ngx_http_request_t *r, int status) {
  r->headers_out.status = static_cast<ngx_uint_t>(status);
  r->headers_out.status_line = ngx::borrow(status_line(status));
}

/// The location behind an error_page's `@name`.
const ngx_http_core_loc_conf_t *named_location(ngx_http_request_t *r, std::string_view name) {
  auto *server =
      static_cast<ngx_http_core_srv_conf_t *>(ngx_http_get_module_srv_conf(r, ngx_http_core_module));
  for (auto **at = server->named_locations; at != nullptr && *at != nullptr; ++at) {
    if (ngx::view((*at)->name) == name)
      return *at;
  }
  return nullptr;
}

/// The location's error_page for this status, if nginx would use it now.
const ngx_http_err_page_t *error_page(ngx_http_request_t *r, int status) {
  const auto &core = core_conf(r);
  if (core.error_pages == nullptr || (r->error_page && !core.recursive_error_pages) || r->uri_changes == 0)
    return nullptr;
  auto *pages = static_cast<ngx_http_err_page_t *>(core.error_pages->elts);
  auto *end = pages + core.error_pages->nelts;
  auto *found = std::find_if(pages, end, [&](auto &page) { return page.status == status; });
  return found != end ? found : nullptr;
}

/// nginx requests other pages than named locations with GET; await_problem does not take a body.
bool takes_body(ngx_http_request_t *r, const ngx_http_err_page_t &page) {
  std::string_view name = ngx::view(page.value.value);
  const auto *location = name.starts_with('@') ? named_location(r, name) : nullptr;
  return location != nullptr && location->handler != problem_handler;
}

}  // namespace

bool page_takes_body(ngx_http_request_t *r, int status) {
  const ngx_http_err_page_t *page = error_page(r, status);
  return page != nullptr && takes_body(r, *page);
}

bool body_may_go_on(ngx_http_request_t *r) {
  const auto &core = core_conf(r);
  off_t length = r->headers_in.content_length_n;
  if (core.error_pages == nullptr ||
      (length >= 0 && length <= static_cast<off_t>(core.client_body_buffer_size)))
    return false;
  auto *pages = static_cast<ngx_http_err_page_t *>(core.error_pages->elts);
  return std::any_of(pages, pages + core.error_pages->nelts,
                     [&](const ngx_http_err_page_t &page) { return takes_body(r, page); });
}

void add_header(ngx_http_request_t *r, std::string_view name, std::string_view value) {
  if (ngx_table_elt_t *there = same_header(r, name, value)) {
    there->value = ngx::copy(r->pool, value);
    return;
  }
  auto *header = static_cast<ngx_table_elt_t *>(ngx_list_push(&r->headers_out.headers));
  if (header == nullptr)
    throw std::bad_alloc();
  *header = ngx_table_elt_t{};
  header->hash = 1;
  header->key = ngx::borrow(name);
  header->value = ngx::copy(r->pool, value);
  register_header(r, name, header);
}

std::string_view sent_request_id(ngx_http_request_t *r) {
  return location_conf(r).sends_request_id == 1 ? request_id_of(r) : std::string_view();
}

ngx_int_t send_head(ngx_http_request_t *r) {
  if (r == r->main) {
    std::string_view id = sent_request_id(r);
    // await_problem has added that of the location of the error
    if (!id.empty() && same_header(r, kRequestId, {}) == nullptr)
      add_header(r, "X-Request-Id", id);
    if (r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE)
      r->expect_tested = 1;  // do not send "100 Continue": the body is not wanted
    if (r->reading_body || ngx_http_discard_request_body(r) != NGX_OK)
      r->keepalive = 0;
  }
  return ngx_http_send_header(r);
}

Answer send(ngx_http_request_t *r, int status, std::string_view content_type, std::string_view body) {
  set_status(r, status);
  r->headers_out.content_type = ngx::copy(r->pool, content_type);
  r->headers_out.content_type_len =
      content_type.find(';') == std::string_view::npos ? content_type.size() : content_type.find(';');
  r->headers_out.content_type_lowcase = nullptr;
  r->headers_out.content_length_n = static_cast<off_t>(body.size());
  r->disable_not_modified = 1;  // conditional requests were decided by us
  if (body.empty())
    r->header_only = 1;
  ngx_int_t rc = send_head(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
    return Answer::sent(rc);
  ngx_buf_t *buffer = ngx_create_temp_buf(r->pool, body.size());
  if (buffer == nullptr)
    return Answer::cut();
  buffer->last = ngx_cpymem(buffer->last, body.data(), body.size());
  buffer->last_buf = r == r->main ? 1 : 0;
  buffer->last_in_chain = 1;
  ngx_chain_t chain{buffer, nullptr};
  return Answer::sent(ngx_http_output_filter(r, &chain));
}

Answer send_empty(ngx_http_request_t *r, int status) {
  set_status(r, status);
  r->headers_out.content_length_n = status == 204 || status == 304 ? -1 : 0;
  r->header_only = 1;
  r->disable_not_modified = 1;
  return Answer::sent(send_head(r));
}

Answer send_problem_body(ngx_http_request_t *r, int status, std::string_view body) {
  add_header(r, "Cache-Control", "no-store");
  return send(r, status, "application/problem+json", body);
}

namespace {

Answer give_problem(ngx_http_request_t *r, wire::Problem problem) {
  problem.request_id = sent_request_id(r);
  note_problem(r, problem);
  if (error_page(r, problem.status) != nullptr) {
    if (r->reading_body)
      r->keepalive = 0;
    return Answer::by_nginx(problem.status);
  }
  return send_problem_body(r, problem.status, wire::encode(problem, problem_base(r), ngx::view(r->uri)));
}

/// Logs a client's error once, at the level at which nginx logs client errors, without what the client sent.
void log_refusal(ngx_http_request_t *r, const wire::Problem &problem) {
  if (problem.status >= 400 && problem.status < 500)
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "await: answering %d: %s", problem.status,
                  printable(problem.detail).c_str());
}

}  // namespace

Answer send_problem(ngx_http_request_t *r, const wire::Problem &problem) {
  log_refusal(r, problem);
  return give_problem(r, problem);
}

Answer send_problem(ngx_http_request_t *r, int status, std::string_view detail) {
  wire::Problem problem = wire::problem_of_status(status);
  problem.detail = detail;
  return send_problem(r, problem);
}

Answer send_unavailable(ngx_http_request_t *r, std::string_view detail) {
  add_retry_after(r);
  return send_problem(r, 503, detail);
}

Answer send_restarting(ngx_http_request_t *r) {
  if (r->header_sent)
    return Answer::cut();
  return send_unavailable(r, "The server is restarting; retry later.");
}

Answer send_logged_problem(ngx_http_request_t *r, int status, std::string_view detail) {
  wire::Problem problem = wire::problem_of_status(status);
  problem.detail = detail;
  return give_problem(r, problem);
}

/// Logs the error, once. The database's own message goes to error.log only, not to the client.
Answer send_error(ngx_http_request_t *r, const Error &error) {
  auto answer = [&](ngx_uint_t level, int status, const char *detail) {
    std::string reason = printable(error.detail);
    auto kind = (r->method & (NGX_HTTP_POST | NGX_HTTP_PUT | NGX_HTTP_PATCH)) != 0
                    ? Refusals::Kind::submission
                    : Refusals::Kind::other;
    if (level == NGX_LOG_ERR && runtime() != nullptr && !runtime()->refusals().count(kind, reason))
      level = NGX_LOG_INFO;  // it is counted
    ngx_log_error(level, r->connection->log, 0, "await: answering %d: %s", status, reason.c_str());
    return send_logged_problem(r, status, detail);
  };
  switch (error.code) {
    case Code::unavailable:
    case Code::timeout:
      add_retry_after(r);
      return answer(NGX_LOG_ERR, 503, "The database is unavailable. No data was lost; retry later.");
    case Code::conflict:
      add_header(r, "Retry-After", "1");
      return answer(NGX_LOG_INFO, 409, "Another request is changing the same data; retry.");
    case Code::not_found:
      return send_problem(r, 404, error.detail);
    case Code::invalid:
      return answer(NGX_LOG_INFO, 400, "The database rejected the data in the request.");
    case Code::too_large:
      return answer(NGX_LOG_INFO, 413, "The data in the request is too large for this resource.");
    case Code::forbidden:
    case Code::internal:
      break;
    case Code::exhausted:
      add_retry_after(r);
      return answer(NGX_LOG_ERR, 503, "A storage limit has been reached. Nothing was stored; retry later.");
  }
  return answer(NGX_LOG_ERR, 500, "");
}

}  // namespace await::http
