#pragma once

#include <string>

#include "ngx/nginx.h"

namespace await::http {

/// `await_origins same|any|origin…`: the origins of pages that may POST, DELETE and open WebSockets.
char *set_origins(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// Whether the request comes from such a page, or not from a browser. Browsers send the origin of a page in
/// Origin (Fetch §3.2), and newer ones its relation to the server in Sec-Fetch-Site. Clients that
/// send neither are not browsers. To a console only its own page is welcome.
bool is_welcome(ngx_http_request_t *r);
/// The value of Access-Control-Allow-Origin: the origin of the request if it is listed; `*` if every origin
/// may read the response. Empty: none.
std::string readable_by(ngx_http_request_t *r);

}  // namespace await::http
