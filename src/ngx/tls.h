#pragma once

#include "ngx/nginx.h"

namespace await::ngx {

/// Gives back the buffer that TLS records are gathered in (ssl_buffer_size), unless something waits in it:
/// nginx makes it anew with the next write, and would keep it for as long as a connection has a request.
void release_tls_buffer(ngx_connection_t *c);
/// The same for the connection that `r` came on, over HTTP/2 the one that its streams share.
void release_tls_buffer(ngx_http_request_t *r);

}  // namespace await::ngx
