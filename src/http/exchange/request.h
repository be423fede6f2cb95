#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "ngx/nginx.h"
#include "wire/batch_document.h"
#include "wire/document.h"

namespace await::http {

/// A request header, several lines joined by ", " (Cookie: by "; "); empty if there is none.
/// @param lower_name  in lower case
std::string header(ngx_http_request_t *r, std::string_view lower_name);
bool has_header(ngx_http_request_t *r, std::string_view lower_name);
/// The same of a header that is about the client's own request: conditions, ranges, preferences and the like.
/// Empty in a subrequest (auth_request, mirror, SSI): it has the client's headers, but is not the client's
/// request.
std::string own_header(ngx_http_request_t *r, std::string_view lower_name);

/// Whether a header's value lists the word (RFC 9110 §5.6.1), whatever its case.
bool lists(std::string_view value, std::string_view word);

/// Whether the request demands a WebSocket. An Upgrade to another protocol is optional (RFC 9110 §7.8) and is
/// ignored. False in a subrequest, because the connection belongs to the main request.
bool asks_for_websocket(ngx_http_request_t *r);

/// For how long nginx has had the request.
std::int64_t age_ms(ngx_http_request_t *r);

/// A query argument, percent-decoded; nothing if there is none.
std::optional<std::string> argument(ngx_http_request_t *r, std::string_view name);

/// How long a client is willing to wait, after all sources and limits.
struct Wait {
  std::int64_t ms = 0;
  bool malformed = false;  ///< ?wait= is not a number: 400
  bool preferred = false;  ///< by Prefer: the response has Preference-Applied
};
Wait wait_of(ngx_http_request_t *r);
/// Preference-Applied and Vary as `wait` needs them.
void add_wait_headers(ngx_http_request_t *r, const Wait &wait, std::string_view vary);

/// The URL of what follows a page that was just answered: a reference to the same path with the arguments of
/// the client, with this cursor, and without a ticket, which was used.
std::string next_page(ngx_http_request_t *r, std::string_view cursor);

/// What a request asks for below the prefix of its location, "" for "/"; nothing if that is not how it
/// begins, because "rewrite" has changed it.
std::optional<std::string_view> path_below(ngx_http_request_t *r);

/// The links of a job, relative to this location.
/// @param suffix  the part of this location's URL after that of the job, e.g. "/result"
wire::Links links_of(ngx_http_request_t *r, std::string_view suffix);
/// The links of the job that a job was retried as here, at the URL of the old one with /retry.
wire::Links links_of_retry(ngx_http_request_t *r, const Uuid &old, const Uuid &id);
/// The links of a job just submitted here.
wire::Links links_of_new(ngx_http_request_t *r, const Uuid &id);

/// The links of a batch, relative to this location.
wire::BatchLinks batch_links_of(ngx_http_request_t *r);
/// The links of a batch just submitted here.
wire::BatchLinks batch_links_of_new(ngx_http_request_t *r, const Uuid &id);
/// The links of a job of the batch that is read here, by await_job_uri or "await"; empty ones without them.
wire::Links links_of_listed(ngx_http_request_t *r, const Uuid &id);

}  // namespace await::http
