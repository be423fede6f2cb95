#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ngx/nginx.h"
#include "wire/jwt.h"
#include "wire/problem.h"

namespace await::http {

/// The facts about a request, for variables, logs and error pages. They survive internal redirects, which
/// clear module contexts.
struct RequestInfo {
  std::string id;     ///< $await_id
  std::string state;  ///< $await_state
  /// $await_delivery: submit, poll, hold, result, sse, events, socket, publish, ticket
  const char *delivery = "";
  const char *cache = "";               ///< $await_cache_status: HIT, MISS
  std::optional<std::int64_t> held_ms;  ///< $await_hold_time
  std::optional<wire::Problem> problem;
  bool verified = false;                  ///< by a token or a ticket
  std::string token;                      ///< as it was in the URL, before it was masked
  std::string user;                       ///< $await_user: verified
  std::optional<wire::JwtClaims> claims;  ///< $await_jwt_claim_…: verified
  std::int64_t issued_ms = 0;             ///< when the ticket was issued, by the database's clock
  std::int64_t expires_s = 0;             ///< Unix time when the access expires; 0: never
  void *ticket_check = nullptr;           ///< http/modules/auth_ticket.cc's, in the request's pool
  std::optional<std::vector<std::string>> ticket_channels;  ///< the channels of the ticket; empty: no ticket
  std::optional<std::string> readable_by;  ///< by await_cors of the first location: an origin, or empty
  bool of_console = false;                 ///< no other page may read it, whichever location it is led to
  std::string_view may_be_read;            ///< the headers that this origin may read, of the configuration

  /// Copies the identity of the client to a subrequest: nginx runs the access phase for the main request
  /// only.
  void take_identity(const RequestInfo &from);
};

/// The facts about a request, created at first use. A subrequest has its own.
RequestInfo &request_info(ngx_http_request_t *r);
/// Null if there are none. A subrequest uses those of its main request until it has its own.
RequestInfo *find_request_info(ngx_http_request_t *r);
void note_problem(ngx_http_request_t *r, const wire::Problem &problem);

/// The id of the request, for X-Request-Id and problems: what await_request_id says, if that is a well-formed
/// id, otherwise nginx's $request_id. The same each time.
std::string_view request_id_of(ngx_http_request_t *r);

/// Registers the $await_… variables.
ngx_int_t add_variables(ngx_conf_t *cf);

}  // namespace await::http
