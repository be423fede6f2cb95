#include "http/exchange/problem_page.h"

#include <algorithm>

#include "base/text.h"
#include "http/conf/conf.h"
#include "http/exchange/request.h"
#include "http/exchange/request_info.h"
#include "http/exchange/respond.h"
#include "http/exchange/retry.h"
#include "ngx/guard.h"
#include "ngx/str.h"
#include "wire/accept.h"
#include "wire/html.h"
#include "wire/json_list.h"

namespace await::http {
namespace {

/// The path of await_problem_base, which may be a whole URL. Empty if the types do not have URLs of their
/// own.
std::string_view base_path(ngx_http_request_t *r) {
  std::string_view base = problem_base(r);
  auto scheme = base.find("://");
  if (scheme != base.npos)
    base.remove_prefix(std::min(base.find('/', scheme + 3), base.size()));
  return base.starts_with('/') && base.ends_with('/') ? base : std::string_view();
}

std::string as_json(std::string_view base, const wire::ProblemType &type) {
  wire::JsonWriter out;
  out.text("type", std::string(base) + type.name);
  out.text("title", type.title);
  out.number("status", type.status);
  out.text("when", type.when);
  return out.take();
}

std::string all_as_json(std::string_view base) {
  wire::JsonList types;
  for (const wire::ProblemType &type : wire::problem_types())
    types.made(as_json(base, type));
  wire::JsonWriter out;
  out.made("problems", types.take());
  return out.take();
}

std::string as_html(const wire::ProblemType &type) {
  std::string body = "<p>Status " + std::to_string(type.status) + ", <code>" + type.name +
                     "</code></p>\n<p>" + wire::html_escape(type.when) +
                     "</p>\n<p><a href=\"./\">All problem types</a></p>\n";
  return wire::html_page(type.title, "", body);
}

std::string all_as_html() {
  std::string body = "<dl>\n";
  for (const wire::ProblemType &type : wire::problem_types())
    body += std::string("<dt><a href=\"") + type.name + "\">" + type.title + "</a> (" +
            std::to_string(type.status) + ")</dt><dd>" + wire::html_escape(type.when) + "</dd>\n";
  return wire::html_page("Problem types", "", body + "</dl>\n");
}

/// The description of the type that the URL names, or of all types. An answer unless it names none.
Refusal describe(ngx_http_request_t *r) {
  std::string_view base = base_path(r);
  std::string_view name = ngx::view(r->uri);
  if (base.empty() || !name.starts_with(base))
    return std::nullopt;
  name.remove_prefix(base.size());
  auto types = wire::problem_types();
  auto type = std::find_if(types.begin(), types.end(), [&](auto &one) { return name == one.name; });
  if (!name.empty() && type == types.end())
    return std::nullopt;
  constexpr std::string_view kOffers[] = {"application/json", "text/html"};
  bool html = wire::choose(header(r, "accept"), kOffers) == 1;
  add_header(r, "Vary", "Accept");
  if (!html)
    return send(r, 200, "application/json",
                name.empty() ? all_as_json(problem_base(r)) : as_json(problem_base(r), *type));
  add_header(r, "Content-Security-Policy", wire::kHtmlPolicy);
  return send(r, 200, "text/html; charset=utf-8", name.empty() ? all_as_html() : as_html(*type));
}

Answer send_page(ngx_http_request_t *r) {
  bool reads = (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && !r->internal;
  if (auto described = reads ? describe(r) : std::nullopt)
    return *described;
  int status = static_cast<int>(r->err_status != 0 ? r->err_status : NGX_HTTP_NOT_FOUND);
  RequestInfo *known = find_request_info(r);
  bool ours = known != nullptr && known->problem && known->problem->status == status;
  wire::Problem problem = ours ? *known->problem : wire::problem_of_status(status);
  if (!ours)
    problem.request_id = sent_request_id(r);
  else if (!problem.request_id.empty())
    add_header(r, "X-Request-Id", problem.request_id);
  note_problem(r, problem);
  if ((status == 429 || status == 503) && !ours)
    add_retry_after(r);
  return send_problem_body(r, status, wire::encode(problem, problem_base(r), ngx::view(r->uri)));
}

}  // namespace

ngx_int_t problem_handler(ngx_http_request_t *r) {
  return ngx::guarded(r->connection->log, ngx_int_t{NGX_HTTP_INTERNAL_SERVER_ERROR},
                      [&]() -> ngx_int_t { return send_page(r).rc(); });
}

}  // namespace await::http
