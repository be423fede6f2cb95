#include "http/live/list_page.h"

#include "base/siphash.h"
#include "core/list_cursor.h"
#include "http/exchange/request.h"
#include "wire/headers.h"
#include "wire/json_writer.h"

namespace await::http {
namespace {

/// The key is the same on every node.
std::string page_etag(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::uint64_t sum = siphash(SipKey{}, text);
  std::string out = "W/\"";
  for (int shift = 60; shift >= 0; shift -= 4)
    out += kHex[sum >> shift & 15];
  return out + "\"";
}

}  // namespace

Answer send_page(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query, wire::JsonWriter out,
                 const std::optional<core::ListPosition> &next) {
  if (next) {
    std::string cursor = core::encode_list_cursor(runtime.keys().cursor_keys(), query, *next);
    out.text("next", cursor);
    add_header(r, "Link", "<" + next_page(r, cursor) + ">; rel=\"next\"");
  } else {
    out.null("next");
  }
  std::string text = out.take();
  std::string etag = page_etag(text);
  add_header(r, "ETag", etag);
  add_header(r, "Cache-Control", "private, no-cache");
  if (std::string known = own_header(r, "if-none-match"); wire::etag_listed(known, etag))
    return send_empty(r, 304);
  return send(r, 200, "application/json", text);
}

}  // namespace await::http
