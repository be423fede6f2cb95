#pragma once

#include <string>

#include "ngx/nginx.h"

namespace await::http {

/// `await_origins same|any|origin…`: whose pages may POST, DELETE and open WebSockets here.
char *set_origins(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/// Whether the request comes from such a page, or from no browser at all. Browsers say where a page is from
/// in Origin (Fetch §3.2) and, of late, how near that is in Sec-Fetch-Site; who sends neither is none.
bool is_welcome(ngx_http_request_t *r);
/// The origin whose pages may read what is answered here (Access-Control-Allow-Origin): the request's, if it
/// is listed;
/// `*` where any may. Empty: none.
std::string readable_by(ngx_http_request_t *r);

}  // namespace await::http
