#include "http/exchange/conditions.h"

#include <algorithm>

#include "base/text.h"
#include "http/exchange/request.h"
#include "ngx/str.h"
#include "wire/headers.h"

namespace await::http {
namespace {

constexpr ngx_uint_t kSafe = NGX_HTTP_GET | NGX_HTTP_HEAD;

/// False only where the field is a date, and it was modified after that.
bool is_unmodified_since(std::string_view field, std::int64_t modified_ms) {
  ngx_str_t text = ngx::borrow(trim(field));
  time_t since = ngx_parse_http_time(text.data, text.len);
  return since == NGX_ERROR || modified_ms / 1000 <= since;
}

}  // namespace

bool has_conditions(ngx_http_request_t *r) {
  if (r != r->main)
    return false;
  const ngx_http_headers_in_t &in = r->headers_in;  // nginx has found them already
  bool none_match = (r->method & kSafe) == 0 && in.if_none_match != nullptr;
  return none_match || in.if_match != nullptr || in.if_unmodified_since != nullptr;
}

bool conditions_hold(ngx_http_request_t *r, std::span<const std::string> etags, std::int64_t modified_ms) {
  auto any = [&](auto &&test) { return std::any_of(etags.begin(), etags.end(), test); };
  if (has_header(r, "if-match")) {
    std::string field = header(r, "if-match");
    if (!any([&](const std::string &etag) { return wire::etag_listed_strongly(field, etag); }))
      return false;
  } else if (modified_ms != 0 && !is_unmodified_since(header(r, "if-unmodified-since"), modified_ms)) {
    return false;
  }
  if ((r->method & kSafe) != 0 || !has_header(r, "if-none-match"))
    return true;
  std::string field = header(r, "if-none-match");
  return !any([&](const std::string &etag) { return wire::etag_listed(field, etag); });
}

}  // namespace await::http
