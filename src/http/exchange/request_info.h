#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ngx/nginx.h"
#include "wire/jwt.h"
#include "wire/problem.h"

namespace await::http {

/// What we know of a request, for variables, logs and error pages. Survives internal redirects, which
/// wipe module contexts.
struct RequestInfo {
  std::string id;     ///< $await_id
  std::string state;  ///< $await_state
  /// $await_delivery: submit, poll, hold, result, sse, events, socket, publish, ticket
  const char *delivery = "";
  const char *cache = "";               ///< $await_cache_status: HIT, MISS
  std::optional<std::int64_t> held_ms;  ///< $await_hold_time
  std::optional<wire::Problem> problem;
  bool verified = false;                                    ///< by a token or a ticket
  std::string token;                                        ///< as it stood in the URL, before it was blanked
  std::string user;                                         ///< $await_user: verified
  std::optional<wire::JwtClaims> claims;                    ///< $await_jwt_claim_…: verified
  std::int64_t issued_ms = 0;                               ///< when the ticket was, by the database's clock
  std::int64_t expires_s = 0;                               ///< Unix time when that is over; 0: never
  void *ticket_check = nullptr;                             ///< http/auth_ticket.cc's, in the request's pool
  std::optional<std::vector<std::string>> ticket_channels;  ///< what the ticket is for; nothing: no ticket
  std::optional<std::string> readable_by;  ///< await_cors of the location it came to: an origin, or none

  /// Who asks, for a subrequest: nginx asks for access to the main request only.
  void take_identity(const RequestInfo &from);
};

/// The request's facts, made at first use. A subrequest has its own.
RequestInfo &facts(ngx_http_request_t *r);
/// Null where there are none; a subrequest's are its main request's until it has its own.
RequestInfo *find_request_info(ngx_http_request_t *r);
void note_problem(ngx_http_request_t *r, const wire::Problem &problem);

/// Registers the $await_… variables.
ngx_int_t add_variables(ngx_conf_t *cf);

}  // namespace await::http
