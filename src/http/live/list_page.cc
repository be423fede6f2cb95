#include "http/live/list_page.h"

#include "base/siphash.h"
#include "core/list_cursor.h"
#include "http/conf/submit_options.h"
#include "http/exchange/list_query.h"
#include "http/exchange/request.h"
#include "http/live/job_wait.h"
#include "ngx/str.h"
#include "wire/accept.h"
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

OrAnswer<core::ListQuery> asked_list(ngx_http_request_t *r, Runtime &runtime, const ListConf &conf,
                                     bool of_batches) {
  constexpr std::string_view kOffers[] = {"application/json"};
  bool acceptable = wire::choose(header(r, "accept"), kOffers) >= 0;
  if (!acceptable && of_batches)
    return send_problem(r, 406, "A list of batches is available as application/json.");
  if (!acceptable)
    return send_problem(r, 406, "A list of jobs is available as application/json.");
  ListScope scope;
  scope.of_batches = of_batches;
  if (conf.all == 0)
    scope.owner = owner_of(r);
  if (conf.queue != nullptr) {
    scope.queue = ngx::evaluate(r, conf.queue);
    if (!is_queue_name(*scope.queue))
      return send_problem(r, 400, "Invalid queue name; use 1 to 64 characters of A-Z a-z 0-9 _ . -");
  }
  auto page = asked_page(r, scope, runtime.keys().cursor_keys());
  if (!page)
    return page;
  if (auto refusal = check_room(r, runtime, false))
    return *refusal;
  return page;
}

Answer send_page(ngx_http_request_t *r, Runtime &runtime, const core::ListQuery &query,
                 const std::string &entries, const std::optional<core::ListPosition> &next) {
  wire::JsonWriter out;
  if (query.of_batches)
    out.made("batches", "[" + entries + "]");
  else
    out.made("jobs", "[" + entries + "]");
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
