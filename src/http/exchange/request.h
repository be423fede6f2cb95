#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "ngx/nginx.h"
#include "wire/document.h"

namespace await::http {

/// A request header, several lines joined by ", "; empty if there is none.
/// @param lower_name  in lower case
std::string header(ngx_http_request_t *r, std::string_view lower_name);
bool has_header(ngx_http_request_t *r, std::string_view lower_name);
/// The same of a header that is about the client's own request: conditions, ranges, preferences and the like.
/// Empty in a subrequest (auth_request, mirror, SSI), which shows the client's headers but is not what it
/// asked for.
std::string own_header(ngx_http_request_t *r, std::string_view lower_name);

/// Whether a header's value lists the word (RFC 9110 §5.6.1), whatever its case.
bool lists(std::string_view value, std::string_view word);

/// Whether it demands a WebSocket; what only offers one (RFC 9110 §7.8) is answered as if it did not. A
/// subrequest shows its client's head, but the connection is the main request's.
bool asks_for_websocket(ngx_http_request_t *r);

/// A query argument, percent-decoded; nothing if there is none.
std::optional<std::string> argument(ngx_http_request_t *r, std::string_view name);

/// How long a client is willing to wait, all sources and limits weighed.
struct Wait {
  std::int64_t ms = 0;
  bool malformed = false;  ///< ?wait= is not a number: 400
  bool preferred = false;  ///< by Prefer, which the answer then says
};
Wait wait_of(ngx_http_request_t *r);
/// Preference-Applied and Vary as `wait` needs them.
void add_wait_headers(ngx_http_request_t *r, const Wait &wait, std::string_view vary);

/// The links of a job as seen from this location.
/// @param suffix  what this location's URL has behind the job's own, e.g. "/result"
wire::Links links_of(ngx_http_request_t *r, std::string_view suffix);
/// The links of a job just submitted here.
wire::Links links_of_new(ngx_http_request_t *r, const Uuid &id);

}  // namespace await::http
